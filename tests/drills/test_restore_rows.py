"""Rows that were deleted come back, exactly those, and what was done can be taken back."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import psycopg.conninfo
import pytest

from tabsync.backups.restore.rows import plan_compare
from tabsync.backups.restore.rows.restore import Difference, compared, plan_write_rows
from tabsync.backups.restore.rows.undo import plan_undo_rows
from tabsync.kernel.errors import BadUsage, NotAllowed, Refused
from tabsync.kernel.runner import Outcome, run
from tabsync.ledger.runs import recent_runs
from tabsync.workspace import Workspace
from tests.conftest import Databases
from tests.drills.test_drill import left_behind
from tests.drills.test_odd_databases import fill
from tests.drills.test_restore import backed_up

_ROWS = Path(__file__).with_name("rows.sql")
_ALL = (
    "select md5(string_agg(t, ';' order by t)) from ("
    'select p::text as t from people p union all select o::text from "Odd Shop"."100% odd %s" o'
    " union all select n::text from notes n union all select d::text from days d union all select l::text from plain l"
    ") as every(t)"
)


def ask(workspace: Workspace, query: str) -> Any:
    """The first value of a query on the database itself."""
    with psycopg.connect(workspace.conninfo) as connection:
        row = connection.execute(query.replace("%", "%%"), ()).fetchone()
    assert row is not None
    return row[0]


def counts(found: Difference) -> dict[str, tuple[int, int, int, int]]:
    """Missing, changed, unlinked, same, by table."""
    states = ("missing", "changed", "unlinked", "same")
    return {one["name"]: tuple(one[state] for state in states) for one in found.tables}


def written(workspace: Workspace, found: Difference, **options: bool) -> Outcome:
    outcome = run(plan_write_rows(workspace, found, **options), workspace, workspace.journal())
    outcome.raise_if_failed()
    return outcome


@pytest.fixture
def odd_of(databases: Databases, workspaces: Callable[..., Workspace]) -> Callable[[int], Workspace]:
    """Makes a database of tables that make it hard, with a backup, on a server of a major version."""

    def make(major: int) -> Workspace:
        conninfo = databases(major)
        fill(conninfo, _ROWS.read_text())
        workspace = workspaces(conninfo)
        backed_up(workspace)
        return workspace

    return make


@pytest.fixture
def odd(odd_of: Callable[[int], Workspace]) -> Workspace:
    """One on the embedded PostgreSQL 17."""
    return odd_of(17)


@pytest.mark.parametrize("major", [15, 17, 18])
def test_a_row_comes_back_with_all_that_a_cascade_took_and_goes_again(
    odd_of: Callable[[int], Workspace], major: int
) -> None:
    odd = odd_of(major)
    before = ask(odd, _ALL)
    fill(odd.conninfo, "delete from people where id = 1")
    after = ask(odd, _ALL)
    with compared(odd, "people", "id = 1", with_dependents=True) as found:
        assert counts(found) == {
            "people": (5, 0, 0, 0),
            "notes": (2, 0, 0, 0),
            "days": (8, 0, 0, 0),
            "100% odd %s": (0, 0, 5, 0),
        }
        outcome = written(odd, found, without_triggers=True)
    assert ask(odd, _ALL) == before
    assert outcome.results["write"]["altered_by_triggers"] == 0
    assert ask(odd, "select tgenabled::text from pg_trigger where tgname = 'stamp'") == "O"
    assert left_behind(odd) == []
    undo = run(plan_undo_rows(odd, outcome.run_id, without_triggers=True), odd, odd.journal())
    undo.raise_if_failed()
    assert undo.results["undo"] == {"deleted": 15, "restored": 5}
    assert ask(odd, _ALL) == after
    with pytest.raises(BadUsage, match="nothing to undo"):
        plan_undo_rows(odd, outcome.run_id)


def test_what_differs_is_left_alone_unless_it_is_to_be_replaced(odd: Workspace) -> None:
    fill(odd.conninfo, "update people set name = 'new', mood = 'bad' where id = 2; delete from days where person = 2")
    before = ask(odd, _ALL)
    with compared(odd, "people", "id in (2, 3)") as found:
        assert counts(found) == {"people": (0, 1, 0, 1)}
        with pytest.raises(Refused, match="nothing to restore"):
            plan_write_rows(odd, found)
        plan = plan_write_rows(odd, found, replace=True)
        assert (plan.risk.value, plan.confirm) == ("destructive", found.target["database"])
        assert "these triggers fire: stamp" in plan.steps[0].preview
        outcome = written(odd, found, replace=True)
    assert ask(odd, "select name || mood from people where id = 2") == "below 1good"
    assert outcome.results["write"]["altered_by_triggers"] == 1  # the trigger sets touched
    undo = run(plan_undo_rows(odd, outcome.run_id, without_triggers=True), odd, odd.journal())
    undo.raise_if_failed()
    assert ask(odd, _ALL) == before


@pytest.mark.parametrize(
    ("table", "deleted", "meanwhile", "told"),
    [
        (
            "people",
            "delete from people where id = 6",
            "insert into people (id, name) overriding system value values (6, 'thief')",
            "people_pkey",
        ),
        (
            "people",
            "update people set name = 'one' where id = 6",
            "update people set name = 'two' where id = 6",
            "changed meanwhile",
        ),
        (
            "plain",
            "delete from plain where a = 1 and ctid = (select min(ctid) from plain)",
            "insert into plain values (1, '{\"a\":1}')",
            "were inserted or deleted meanwhile",
        ),
        (
            "people",
            "delete from people where id = 6",
            "alter table people drop column paid",
            "altered during the comparison",
        ),
    ],
    ids=["taken", "changed", "no key", "altered"],
)
def test_only_what_was_shown_is_written(odd: Workspace, table: str, deleted: str, meanwhile: str, told: str) -> None:
    fill(odd.conninfo, f"{deleted}")
    with compared(odd, table, "true") as found:
        assert found.total("missing", "changed") == 1
        plan = plan_write_rows(odd, found, replace=True)
        fill(odd.conninfo, meanwhile)
        before = ask(odd, _ALL)
        outcome = run(plan, odd, odd.journal())
    assert isinstance(outcome.error, Refused)
    assert told in outcome.error.fact
    assert ask(odd, _ALL) == before
    assert list((odd.home / "undo").glob("*")) == []


_TWO_STATEMENTS = "id = 1); drop table people; select (1"


def test_two_statements_are_one_too_many_also_where_the_words_were_not_understood(
    odd: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan_compare, "why_not", lambda condition: "")
    with pytest.raises(BadUsage, match="multiple commands"), compared(odd, "people", _TWO_STATEMENTS):
        pytest.fail("it found something")


@pytest.mark.parametrize(
    ("condition", "told"),
    [
        ("id = 1); drop table people; select (1", "give a condition, not a statement"),
        ("id = ", "ends with ="),
        ("pg_read_file('/etc/passwd') is not null", "permission denied"),
        ("set_config('role', 'postgres', true) is not null", "permission denied"),
        ("set_config('session_authorization', 'postgres', true) is not null", "permission denied"),
        ("lo_create(0) > 0", "read-only"),
        ("nothing = 1", 'column "nothing" does not exist'),
        ("id = -5", "no row of public.people"),
        ("", "--where is missing"),
    ],
)
def test_a_condition_can_do_nothing_but_find_rows(odd: Workspace, condition: str, told: str) -> None:
    with pytest.raises(BadUsage, match=re.escape(told)), compared(odd, "people", condition):
        pytest.fail("it found something")
    assert left_behind(odd) == []


def test_what_cannot_be_a_condition_starts_nothing(odd: Workspace) -> None:
    runs = len(recent_runs(odd.ledger()))
    with pytest.raises(BadUsage, match="can't be read"), compared(odd, "people", "id = (7"):
        pytest.fail("it found something")
    assert len(recent_runs(odd.ledger())) == runs


def test_a_condition_is_never_seen_by_the_database_itself(odd: Workspace) -> None:
    with compared(odd, "people", "id = 1 and current_database() = 'copy'") as found:
        assert counts(found) == {"people": (0, 0, 0, 1)}


def test_rows_that_point_at_what_is_missing_are_refused_and_named(odd: Workspace) -> None:
    fill(odd.conninfo, "delete from people where id = 1")
    with compared(odd, "notes", "body = 'twice'") as found:
        assert found.facts["parents"][0] | {"table": 0} == {
            "table": 0,
            "key": "notes_person_fkey",
            "referenced": {"schema": "public", "name": "people"},
            "columns": ["id"],
            "count": 1,
        }
        with pytest.raises(Refused, match=r"missing in public\.people"):
            plan_write_rows(odd, found)


def test_the_undo_refuses_what_was_changed_or_is_needed_since(odd: Workspace) -> None:
    fill(odd.conninfo, "delete from people where id in (5, 6)")
    with compared(odd, "people", "id in (5, 6)") as found:
        outcome = written(odd, found)
    for meanwhile, told in [
        ("insert into notes values (5, 'new')", r"1 rows of public\.notes reference"),
        ("delete from notes; update people set name = 'other' where id = 5", "1 rows of public.people were changed"),
    ]:
        fill(odd.conninfo, meanwhile)
        before = ask(odd, _ALL)
        undo = run(plan_undo_rows(odd, outcome.run_id), odd, odd.journal())
        assert isinstance(undo.error, Refused)
        assert re.search(told, undo.error.fact)
        assert ask(odd, _ALL) == before
    path = odd.home / "undo" / f"{outcome.run_id}.jsonl"
    assert path.stat().st_mode & 0o777 == 0o600


def test_columns_that_came_and_went_since(odd: Workspace) -> None:
    changes = "alter table people drop column doc, add column phone text default '-', alter column code type text;"
    fill(odd.conninfo, changes + "delete from people where id = 6")
    with compared(odd, "people", "id = 6") as found:
        notes = " ".join(found.tables[0]["notes"])
        written(odd, found)
    assert "phone was added after the backup" in notes
    assert "doc is only in the backup" in notes
    assert "code was of type public.short_code and is of text" in notes
    assert ask(odd, "select name || phone from people where id = 6") == "elsewhere-"
    fill(
        odd.conninfo,
        "alter table people add column tax text not null default '-'; delete from people where id = 6;"
        "alter table people alter column tax drop default",
    )
    with (
        pytest.raises(Refused, match=r"column tax of public\.people is NOT NULL"),
        compared(odd, "people", "true"),
    ):
        pytest.fail("it found something")


def test_from_a_moment_and_from_a_database(odd: Workspace, databases: Databases) -> None:
    first = odd.store().find("latest")
    fill(odd.conninfo, "delete from people where id = 6")
    backed_up(odd)
    with compared(odd, "people", "id = 6", first.taken_at.isoformat()) as found:
        assert found.source == f"backup {first.id}"
        assert found.total("missing") == 1
        assert found.read_bytes < first.stored_bytes
    with pytest.raises(BadUsage, match="taken before 2001"), compared(odd, "people", "true", "2001-01-01"):
        pytest.fail("it found something")
    other = databases(name="other place")
    fill(other, "create table people (id bigint, name text); insert into people values (6, 'from there'), (7, null)")
    with compared(odd, "people", "id = 6", "other place") as found:
        written(odd, found)
    assert ask(odd, "select name || mood from people where id = 6") == "from theregood"


def test_whoever_may_not_see_all_rows_is_refused(odd: Workspace) -> None:
    from dataclasses import replace

    from psycopg.conninfo import make_conninfo

    fill(
        odd.conninfo,
        "create role half login password 'half'; grant all on people to half;"
        "alter table people enable row level security; create policy part on people using (id < 3)",
    )
    try:
        half = replace(odd, conninfo=make_conninfo(odd.conninfo, user="half", password="half"))
        with pytest.raises(NotAllowed, match="row-level security"), compared(half, "people", "true"):
            pytest.fail("it found something")
    finally:
        half.close()
        fill(odd.conninfo, "drop owned by half; drop role half")


def test_a_circle_of_foreign_keys_comes_back(databases: Databases, workspaces: Callable[..., Workspace]) -> None:
    conninfo = databases()
    fill(
        conninfo,
        "create table hens (id int primary key, egg int);"
        "create table eggs (id int primary key, hen int references hens on delete cascade deferrable);"
        "alter table hens add foreign key (egg) references eggs on delete cascade deferrable initially deferred;"
        "begin; insert into hens values (1, 1), (2, 2); insert into eggs values (1, 1), (2, 1); commit",
    )
    workspace = workspaces(conninfo)
    backed_up(workspace)
    fill(conninfo, "delete from hens where id = 1")
    with compared(workspace, "hens", "id = 1", with_dependents=True) as found:
        assert found.total("missing") == 4
        written(workspace, found)
    assert ask(workspace, "select count(*) from hens, eggs where hen = hens.id") == 2
