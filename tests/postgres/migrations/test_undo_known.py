"""What undo knows by more than the age of a row: what guard noted, rows of before, what triggers have written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from tabsync.kernel.errors import Refused
from tabsync.migrations.before import note_before
from tabsync.migrations.find import histories
from tabsync.migrations.resolve import Resolve, plan_resolve
from tabsync.migrations.undo.undo import Undo, plan_undo
from tabsync.postgres.catalog import identity
from tabsync.workspace import Workspace
from tests.postgres.migrations.history import History, half_done
from tests.postgres.migrations.test_undo import undone
from tests.postgres.migrations.test_undo_age import broken, done

_FIRST = "create table plate (id int primary key, price int); insert into plate values (1, 7)"


@pytest.fixture
def history(databases: Callable[..., str], directory: Path) -> History:
    return History(databases(), directory)


def noted(history: History, workspace: Workspace, name: str, script: str) -> None:
    """What guard notes just before the command runs."""
    (history.folder / name).mkdir(parents=True)
    (history.folder / name / "migration.sql").write_text(script)
    with psycopg.connect(history.conninfo, autocommit=True) as session:
        both, _ = histories(session, history.folder)
        note_before(session, workspace.ledger(), identity(session), both, ["public"], None)
    (history.folder / name / "migration.sql").unlink()
    (history.folder / name).rmdir()


def test_the_last_column_whose_row_was_written_again_by_hand_was_there_before(
    history: History, workspaces: Callable[..., Workspace]
) -> None:
    history.applied("1_first", _FIRST)
    done(history.conninfo, "alter table plate alter price set default 0")
    broken(history, "alter table plate add column price int")
    with pytest.raises(Refused, match="what is there was there before it"):
        plan_undo(workspaces(history.conninfo), Undo("2_broken", history.folder))


def test_what_guard_saw_before_stays_whatever_its_age_says(
    history: History, workspaces: Callable[..., Workspace]
) -> None:
    workspace = workspaces(history.conninfo)
    history.applied("1_first", "create table plate (id int)")
    done(history.conninfo, "create index by_hand on plate (id); create table orders (id int)")
    script = "create table orders (id int); create index by_hand on plate (id)"
    noted(history, workspace, "2_broken", script)
    broken(history, script)
    with pytest.raises(Refused, match="what is there was there before it"):
        plan_undo(workspace, Undo("2_broken", history.folder))


def test_what_guard_did_not_see_before_goes_where_no_age_can_tell(
    history: History, workspaces: Callable[..., Workspace]
) -> None:
    workspace = workspaces(history.conninfo)
    history.applied("1_first", _FIRST)
    pkey = "alter table _prisma_migrations drop constraint _prisma_migrations_pkey, add primary key (id)"
    done(history.conninfo, pkey)  # as a restored dump has it: the catalog is younger than the history
    script = "create table if not exists orders (id int); alter table plate add column size int; select 1 / 0"
    noted(history, workspace, "2_broken", script)
    half_done(history, "2_broken", script)
    facts = undone(workspace, history.folder)
    assert len(facts["statements"]) == 2
    assert facts["left"] == ""


@pytest.mark.parametrize(
    "script",
    [
        "alter table plate add column tip int; update plate set tip = 3; select 1 / 0",
        "create table t (id int); insert into t select pay(); select 1 / 0",
        "create table t as select pay() as id; select 1 / 0",
    ],
)
def test_rows_that_a_trigger_or_a_function_wrote_are_not_forgotten(
    script: str, history: History, workspaces: Callable[..., Workspace]
) -> None:
    workspace = workspaces(history.conninfo)
    history.applied("1_first", _FIRST)
    body = "update plate set price = price * 2 returning 1"
    with psycopg.connect(history.conninfo, autocommit=True) as session:
        session.execute(f"create function pay() returns int language sql as '{body}'".encode())
        note = "begin insert into seen values (new.price); return new; end"
        session.execute("create table seen (price int)")
        session.execute(f"create function note() returns trigger language plpgsql as '{note}'".encode())
        if "tip" in script:
            session.execute("create trigger note before update on plate for each row execute function note()")
    half_done(history, "2_broken", script)
    with pytest.raises(Refused, match="which may have changed rows"):
        plan_undo(workspace, Undo("2_broken", history.folder))
    assert undone(workspace, history.folder, only=True)["may_have_changed"] == [1]
    with pytest.raises(Refused, match="left what line 1 may have done"):
        plan_resolve(workspace, Resolve("2_broken", history.folder, rolled_back=True))


def test_functions_that_only_compute_change_no_rows(history: History, workspaces: Callable[..., Workspace]) -> None:
    history.applied("1_first", f"{_FIRST}; create extension pgcrypto")
    script = "create table t as select gen_random_bytes(3), count(*), random() from plate; select 1 / 0"
    half_done(history, "2_broken", script)
    assert undone(workspaces(history.conninfo), history.folder)["left"] == ""


def test_what_others_made_of_a_column_is_named(history: History, workspaces: Callable[..., Workspace]) -> None:
    history.applied("1_first", _FIRST)
    half_done(
        history, "2_broken", "alter table plate add column tip int; create index own on plate (tip); select 1 / 0"
    )
    others = "create index others on plate (tip, price); alter table plate add constraint odd check (tip < price)"
    done(history.conninfo, others)
    (step,) = plan_undo(workspaces(history.conninfo), Undo("2_broken", history.folder)).plan.steps
    first, second = step.preview.splitlines()
    assert "own" in first
    assert "index public.others" in second
    assert "odd on public.plate" in second
    assert "own" not in second.removesuffix("which others have made").replace("which others have", "")
    assert step.risk == "destructive"


def test_rows_that_are_kept_come_back_into_a_database_in_another_encoding(
    databases: Callable[..., str], directory: Path, workspaces: Callable[..., Workspace]
) -> None:
    conninfo = databases(name="latin")
    with psycopg.connect(conninfo.replace("latin", "postgres"), autocommit=True) as session:
        session.execute("drop database latin")
        session.execute("create database latin template template0 encoding 'LATIN1' locale 'C'")
    history = History(make_conninfo(conninfo, client_encoding="utf8"), directory)
    history.applied("1_first", _FIRST)
    script = "create table t (id int, name text); insert into t values (1, 'K\u00e4se'); select 1 / 0"
    half_done(history, "2_broken", script)
    facts = undone(workspaces(conninfo), history.folder)
    done(history.conninfo, "create table t (id int, name text)")
    history.psql("-v", "ON_ERROR_STOP=1", "-f", facts["kept"])
    with psycopg.connect(history.conninfo) as session:
        assert session.execute("select name, length(name) from t").fetchall() == [("K\u00e4se", 4)]
