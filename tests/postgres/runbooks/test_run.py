"""runbook run: each kind of step, what stops it, who goes on, and what is on record."""

from __future__ import annotations

import re
from contextlib import ExitStack, closing

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from tests.conftest import Databases, run_sql
from tests.postgres.runbooks.place import RUNBOOK, Place, killed
from tests.sessions import connect

STEPS = """1. Look who is there.
   ```sql
   select pid, state from pg_stat_activity where backend_type = 'client backend'
   ```
2. Does it answer?
   ```tabsync
   health
   ```
3. Say that somebody is on it.
   ```tabsync
   alert silence "Active connections" --for 1h --reason "session <pid>"
   ```
4. Tell the owners.
5. Take no orders.
   ```sql write
   update shops set is_open = false
   ```
"""
SLOW = "select count(*) from generate_series(1, 100000) a, generate_series(1, 100000) b where a + b = -1"
NEVER = RUNBOOK.replace("< 99 %", "< 0.001 %")


def test_each_kind_of_step_in_turn(ground: Place) -> None:
    """Reading steps run at once; what changes something waits for a yes, a person's step for its tick."""
    run_sql(ground.conninfo, "create table shops as select true as is_open from generate_series(1, 3)")
    ground.manual(STEPS, NEVER)
    begun = ground.run("runbook", "run", "too slow", "--json")
    assert (begun.code, begun.json["state"]) == (1, "open")
    assert ground.states() == ["done", "done", "waiting", "waiting", "waiting"]
    assert "--set pid=" in begun.err
    run = begun.json["run"]
    ground.run("runbook", "resume", run, "--set", "pid=4711")
    assert ground.states() == ["done", "done", "waiting", "waiting", "waiting"], "nobody said yes"
    ground.run("runbook", "resume", run, "--set", "pid=4711", "--yes")
    (silence,) = ground.run("alert", "list", "--json").json["silences"]
    assert silence["reason"] == "session 4711"
    assert ground.states() == ["done", "done", "done", "waiting", "waiting"]
    ended = ground.run("runbook", "resume", run, "--done", "called Ana", "--yes", "--json")
    assert ground.states() == ["done"] * 5
    assert (ended.code, ended.json["state"]) == (1, "failed")  # its metric can't get that low
    assert ended.json["recovery"]["recovered"] is False
    with connect(ground.conninfo, "tests") as connection:
        assert connection.execute("select count(*) from shops where is_open").fetchone() == (0,)
    shown = ground.shown(run)
    assert [one["procedure"] for one in shown["runs"]] == ["alert silence", "runbook sql"]
    assert shown["steps"][3]["facts"]["note"] == "called Ana"
    assert shown["steps"][0]["facts"]["output"], "what it has shown is kept"


def test_what_holds_already_is_not_acted_for(ground: Place) -> None:
    """Nothing is changed for a metric that is well: then the condition is another one."""
    run_sql(ground.conninfo, "create table shops as select true as is_open")
    ground.manual(STEPS)
    ground.run("runbook", "run", "too slow", "--set", "pid=1", "--yes", "--json")
    ended = ground.run("runbook", "resume", "--done", "told", "--yes", "--json")
    assert (ended.code, ended.json["state"]) == (0, "done")
    assert ground.states() == ["done", "done", "skipped", "done", "skipped"]
    with connect(ground.conninfo, "tests") as connection:
        assert connection.execute("select count(*) from shops where is_open").fetchone() == (1,)


def test_a_step_that_acted_and_recovered_ends_it(ground: Place) -> None:
    """The steps that are left stay open to whoever wants them; the run is done."""
    run_sql(ground.conninfo, "create table shops as select true as is_open")
    head = "#### Too slow\n\nRecovers: Open shops < 1 for 1 s\n\n"
    metric = "Unit: count of shops\nEvery: 1 s\n\n```sql\nselect count(*) as value from shops where is_open\n```\n"
    steps = "1. Close.\n   ```sql write\n   update shops set is_open = false\n   ```\n2. Restart it.\n"
    ground.manual(steps, head, f"#### Open shops\n\n{metric}\n")
    ended = ground.run("runbook", "run", "too slow", "--yes", "--json")
    assert (ended.code, ended.json["state"]) == (0, "done")
    assert ended.json["before"][0]["holds"] is False
    assert ended.json["recovery"]["recovered"] is True
    assert ground.states() == ["done", "waiting"]
    assert ground.run("runbook", "resume", ended.json["run"]).code == 4


def test_who_goes_on_measures_first_whether_it_has_recovered(ground: Place) -> None:
    """Killed while it waited after a step that acted: the next step is not done when the metric holds by then."""
    run_sql(ground.conninfo, "create table shops as select true as is_open from generate_series(1, 2)")
    head = "#### Too slow\n\nRecovers: Open shops < 1 for 1 s within 60 s\n\n"
    metric = "Unit: count of shops\nEvery: 1 s\n\n```sql\nselect count(*) as value from shops where is_open\n```\n"
    one = "select min(ctid) from shops where is_open"
    act = f"   ```sql write\n   update shops set is_open = false where ctid = ({one})\n   ```\n"
    ground.manual(f"1. Close one.\n{act}2. Close another.\n{act}", head, f"#### Open shops\n\n{metric}\n")
    process = ground.start("runbook", "run", "too slow", "--yes")
    ground.waits(lambda: _state_of_the_first(ground) == "done")
    killed(process)
    run_sql(ground.conninfo, "delete from shops where is_open")
    ended = ground.run("runbook", "resume", "--yes", "--json")
    assert (ended.code, ended.json["state"]) == (0, "done")
    assert ground.states() == ["done", "waiting"]


def test_a_failed_look_is_gone_on_after_and_a_failed_act_is_not(ground: Place) -> None:
    act = "2. Act.\n   ```sql write\n   update nowhere set a = 1\n   ```\n"
    ground.manual(f"1. Look.\n   ```sql\n   select 1 / 0\n   ```\n{act}3. Tell.\n", NEVER)
    ended = ground.run("runbook", "run", "too slow", "--yes", "--json")
    assert (ended.code, ended.json["state"]) == (1, "open")
    assert ground.states() == ["failed", "failed", "waiting"]
    assert "nowhere" in ground.shown()["steps"][1]["fact"]
    assert ground.run("runbook", "resume", "--skip", "there is no such table", "--yes").code == 1
    assert ground.states() == ["failed", "failed", "waiting"], "what failed is not made good by going on"


@pytest.mark.parametrize("step", [1, 2, 3])
def test_killed_in_a_step_it_goes_on_in_another_process(ground: Place, step: int) -> None:
    """kill -9 in a look, in a command's own run, and in SQL that changes: the open step is known, and done again."""
    texts = [SLOW if number == step else "select 1" for number in (1, 2, 3)]
    steps = f"1. Look.\n   ```sql\n   {texts[0]}\n   ```\n2. Look.\n   ```sql\n   {texts[1]}\n   ```\n"
    steps += f"3. Act.\n   ```sql write\n   {texts[2]}\n   ```\n"
    ground.manual(steps, NEVER)
    process = ground.start("runbook", "run", "too slow", "--yes")
    ground.waits(lambda: _running(ground) == step)
    killed(process)
    first = ground.shown()["steps"][step - 1]
    assert first["state"] == "running"
    ground.manual(steps.replace(SLOW, "select 2"), NEVER)  # a changed manual changes no run
    if step == 3:  # nobody knows whether it was done, and a script does not decide that
        asked = ground.run("runbook", "resume", "--yes")
        assert "it may have been done already" in asked.err
        assert "--step 3 --yes" in asked.err
        assert ground.states() == ["done", "done", "waiting"]
        assert "it may have been done already" in ground.run("runbook", "resume", "--yes").err
    named = ("--step", "3") if step == 3 else ()
    again = ground.start("runbook", "resume", "--yes", *named)
    ground.waits(
        lambda: ground.shown()["steps"][step - 1]["started_at"] != first["started_at"] and _running(ground) == step
    )
    killed(again)
    stopped = ground.run("runbook", "resume", "--stop", "enough", "--json")
    assert stopped.json["state"] == "stopped"
    assert stopped.json["steps"][step - 1]["state"] == "interrupted"
    assert [one["state"] for one in stopped.json["steps"][: step - 1]] == ["done"] * (step - 1)


def test_one_runs_it_and_another_takes_it_over(ground: Place) -> None:
    ground.manual(f"1. Wait.\n   ```sql\n   {SLOW}\n   ```\n2. Tell.\n", NEVER)
    process = ground.start("runbook", "run", "too slow")
    ground.waits(lambda: _running(ground) == 1)
    refused = ground.run("runbook", "resume", "--skip", "no")
    assert refused.code == 4
    assert "is carrying this run out" in refused.err
    assert ground.run("runbook", "resume", "--take-over", "--skip", "it takes too long").code == 1
    assert process.wait(30) != 0
    assert ground.states() == ["skipped", "waiting"]


def test_a_dry_run_changes_and_records_nothing(ground: Place) -> None:
    run_sql(ground.conninfo, "create table shops as select true as is_open")
    ground.manual(STEPS)
    shown = ground.run("runbook", "run", "too slow", "--dry-run")
    assert shown.code == 0
    for text in (
        "it is asked for: pid",
        "a person does this",
        "update shops",
        "as things are now",
        "Nothing was changed",
    ):
        assert text in shown.out
    assert ground.run("run", "list", "--json").json["runs"] == []


def test_a_runbook_is_found_by_a_part_of_its_title(ground: Place) -> None:
    ground.manual(STEPS)
    assert "Too slow" in ground.run("runbook", "show", "slow").out
    wrong = ground.run("runbook", "show", "to slow")
    assert (wrong.code, "did you mean 'Too slow'" in wrong.err) == (2, True)
    assert "Too slow" in ground.run("runbook", "list").out


def _state_of_the_first(ground: Place) -> str:
    ledger = ground.workspace().ledger()
    runs = ledger.read("runs", limit=1, procedure="runbook run")
    return str(ledger.read("steps", run_id=runs[0]["id"])[0]["state"]) if runs else ""


def _running(ground: Place) -> int:
    runs = ground.workspace().ledger().read("runs", limit=5, procedure="runbook run")
    if not runs:
        return 0
    steps = ground.workspace().ledger().read("steps", run_id=runs[0]["id"])
    found = next((one["number"] for one in steps if one["state"] == "running"), 0)
    return found if found and _busy(ground) else 0


def _busy(ground: Place) -> bool:
    with connect(ground.conninfo, "tests") as connection:
        asked = "select from pg_stat_activity where query like '%a + b = -1%' and state = 'active'"
        return connection.execute(f"{asked} and pid <> pg_backend_pid()".encode()).fetchone() is not None


def test_the_check_finds_what_could_not_be_done_tonight(ground: Place) -> None:
    """A word that nobody knows, a command that can't be planned, SQL that fails; what is well is not listed."""

    def block(number: int, kind: str, text: str) -> str:
        return f"{number}. Do it.\n   ```{kind}\n   {text}\n   ```\n"

    steps = block(1, "sql", "select relname from pg_class limit 1") + block(2, "sql", "select nothing from nowhere")
    steps += block(3, "tabsync", "alert ack <riddle>") + block(4, "tabsync", "alert ack nosuch")
    ground.manual(f"{steps}5. Tell.\n{block(6, 'tabsync', 'health')}")
    found = ground.run("runbook", "check", "too slow")
    assert found.code == 1
    assert "3 of 5 steps could not be carried out" in found.out
    for text in ("nowhere", "nobody can say what <riddle> could be", "nosuch"):
        assert text in found.out
    assert ground.run("runbook", "check", "too slow", "--json").json["steps"][4]["said"] == "ok"
    assert ground.run("run", "list", "--json").json["runs"] == []


def test_what_a_look_advises_against_is_not_done_by_a_script(ground: Place) -> None:
    """The server has room, so ending sessions helps nobody: also where the runbook's metric is beyond its bound."""
    steps = "1. Why?\n   ```tabsync\n   connections diagnose\n   ```\n"
    steps += "2. End them.\n   ```tabsync\n   connections terminate --idle-for 1s\n   ```\n"
    ground.manual(steps, NEVER)
    with psycopg.connect(ground.conninfo, application_name="till", autocommit=True) as idle:
        idle.execute("select 1")
        ground.waits(lambda: _idle_for(ground) > 1.2)
        ended = ground.run("runbook", "run", "too slow", "--yes", "--json")
        idle.execute("select 1")
    assert ended.json["state"] == "failed"
    assert ground.states() == ["done", "skipped"]
    assert ended.json["steps"][1]["facts"]["note"] == "it would help nobody"


def _idle_for(ground: Place) -> float:
    with connect(ground.conninfo, "tests") as connection:
        asked = "select coalesce(max(extract(epoch from now() - state_change)), 0)::float8 from pg_stat_activity"
        row = connection.execute(f"{asked} where state = 'idle' and datname = current_database()".encode()).fetchone()
    assert row is not None
    return float(row[0])


def test_a_value_is_neither_an_option_nor_sql(ground: Place) -> None:
    """What somebody types, or a server calls a table, stays a value; where it could not, the step fails in words."""
    run_sql(ground.conninfo, "create table shops as select true as is_open")
    ground.manual("1. End it.\n   ```tabsync\n   connections terminate <pid>\n   ```\n", NEVER)
    ended = ground.run("runbook", "run", "too slow", "--yes", "--json", "--set", "pid=--idle-for=0s")
    assert (ended.code, ground.states()) == (1, ["failed"])
    assert "begins with a dash" in ended.err
    ground.manual(
        "1. Close.\n   ```sql write\n   update shops set is_open = null where '%<name>%' <> ''\n   ```\n", NEVER
    )
    wrong = ground.run("runbook", "run", "too slow", "--yes", "--json", "--set", "name='; drop table shops; --")
    assert (wrong.code, ground.states()) == (1, ["failed"])
    assert "stands inside of" in wrong.err
    assert "stands inside of" in ground.run("manual", "check").out


def test_nobody_goes_on_with_a_run_on_another_database(ground: Place, databases: Databases) -> None:
    """Another database, and one of the same name that was made anew: neither is written to."""
    steps = "1. Tell.\n2. Close.\n   ```sql write\n   update shops set is_open = false\n   ```\n"
    other = Place(ground.directory, databases())
    for one in (ground, other):
        run_sql(one.conninfo, "create table shops as select true as is_open")
    ground.manual(steps, NEVER)
    run = ground.run("runbook", "run", "too slow", "--json").json["run"]
    other.manual(steps, NEVER)
    refused = other.run("runbook", "resume", run, "--done", "told", "--yes")
    assert refused.code == 4
    assert "was begun on" in refused.err
    assert other.run("runbook", "show", "too slow").code == 0
    name = str(conninfo_to_dict(ground.conninfo)["dbname"])
    ground.manual(steps, NEVER)
    run_sql(other.conninfo, "drop database {}", name)
    run_sql(other.conninfo, "create database {}", name)
    run_sql(ground.conninfo, "create table shops as select true as is_open")
    anew = ground.run("runbook", "resume", run, "--yes")
    assert (anew.code, "but not the one of" in anew.err) == (4, True)
    for one in (ground, other):
        with connect(one.conninfo, "tests") as connection:
            assert connection.execute("select is_open from shops").fetchone() == (True,)
    assert ground.run("runbook", "resume", run, "--stop", "it is another one").code == 0


def test_the_session_that_is_likely_meant_comes_first(ground: Place) -> None:
    """To end: who blocks others, then who idles in a transaction; to cancel: who works. Never a session of ours."""
    steps = "1. Who?\n   ```tabsync\n   connections show --each\n   ```\n2. End.\n   ```tabsync\n   {} <pid>\n   ```\n"
    with ExitStack() as stack:
        ours, idle, leaker, works = (
            stack.enter_context(
                closing(psycopg.connect(ground.conninfo, application_name=name, autocommit=name != "leaker"))
            )
            for name in ("tabsync/emergency", "till", "leaker", "report")
        )
        for one in (ours, idle, leaker):
            one.execute("select 1")
        works.pgconn.send_query(b"select pg_sleep(60)")
        pids = {}
        for words in ("connections terminate", "queries cancel"):
            ground.manual(steps.format(words), NEVER)
            asked = ground.run("runbook", "run", "too slow", "--yes").err
            pids[words] = [int(one) for one in re.findall(r"(\d+) \(", asked.rpartition("likely: ")[2])]
        assert pids["connections terminate"][0] == leaker.info.backend_pid
        assert pids["queries cancel"][0] == works.info.backend_pid
        assert ours.info.backend_pid not in pids["connections terminate"]
    assert "leaker as" in asked


def test_statements_are_shown_and_not_kept(ground: Place) -> None:
    """They hold customers' data and passwords: who runs the runbook sees them, the record has who ran for how long."""
    looks = "".join(
        f"{number}. Look.\n   ```tabsync\n   {words}\n   ```\n"
        for number, words in enumerate(("queries show", "connections show", "locks show", "queries explain <pid>"), 1)
    )
    ground.manual(f"{looks}5. Tell.\n", NEVER)
    with ExitStack() as stack:
        works, holds, waits = (
            stack.enter_context(closing(psycopg.connect(ground.conninfo, application_name=name)))
            for name in ("works", "holds", "waits")
        )
        holds.execute("create table taken (id int)")
        holds.commit()
        holds.execute("lock table taken; select 'canary-1'")
        waits.pgconn.send_query(b"select 'canary-2' from taken")
        works.pgconn.send_query(b"select 'canary-3' from pg_sleep(60)")
        pid = works.info.backend_pid
        ground.waits(lambda: "canary-2" in ground.run("locks", "show", "--json").out)
        seen = ground.run("runbook", "run", "too slow", "--yes", "--set", f"pid={pid}")
    assert ground.states() == ["done"] * 4 + ["waiting"]
    shown = seen.out + seen.err
    assert all(f"canary-{number}" in shown for number in (1, 2, 3))
    kept = ground.run("run", "show", "--json", ground.shown()["id"]).out
    assert "canary" not in kept
    assert str(pid) in kept
