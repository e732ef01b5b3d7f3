"""runbook run: each kind of step, what stops it, who goes on, and what is on record."""

from __future__ import annotations

import psycopg
import pytest

from tests.conftest import run_sql
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


def test_what_asks_for_a_password_is_typed_by_a_person(ground: Place) -> None:
    ground.manual(
        "1. Promote.\n   ```tabsync\n"
        '   user promote ana@example.com --to WAITER --by eva@example.com --reason "hired"\n   ```\n',
        NEVER,
    )
    begun = ground.run("runbook", "run", "too slow", "--yes", "--json")
    assert ground.states() == ["waiting"], begun.err
    assert "could not" not in begun.err
    ground.run("runbook", "resume", begun.json["run"], "--done", "promoted her", "--yes", "--json")
    assert ground.states() == ["done"]


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
