"""What the restore commands bring back, on real servers."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from tabsync.backups.restore.estimate import estimate
from tabsync.backups.restore.in_place import plan_restore_in_place
from tabsync.backups.restore.new import plan_restore_new
from tabsync.backups.restore.tables import plan_restore_tables
from tabsync.backups.take import plan_take_full
from tabsync.kernel.errors import BadUsage, FailedPartway, ProblemFound, Refused
from tabsync.kernel.plan import Plan
from tabsync.kernel.runner import Outcome, Quiet, run
from tabsync.kernel.step import Step
from tabsync.postgres.conninfo import libpq_environment
from tabsync.postgres.installation import embedded
from tabsync.stores.local import LocalStore
from tabsync.workspace import Workspace
from tests.conftest import Databases, run_sql
from tests.drills.test_drill import injure, left_behind
from tests.drills.test_odd_databases import fill

_ODD = Path(__file__).with_name("odd.sql")


def backed_up(workspace: Workspace) -> str:
    """Take a full backup; gives its id."""
    outcome = run(plan_take_full(workspace), workspace, workspace.journal())
    outcome.raise_if_failed()
    return str(outcome.results["commit"]["backup"])


def carried_out(workspace: Workspace, plan: Plan, listener: Quiet | None = None) -> Outcome:
    return run(plan, workspace, workspace.journal(), listener)


def asked(workspace: Workspace, database: str, query: str) -> list[tuple[object, ...]]:
    """The rows of a query in another database of the server."""
    with psycopg.connect(make_conninfo(workspace.conninfo, dbname=database)) as connection:
        return connection.execute(query).fetchall()


def databases_of(workspace: Workspace) -> set[object]:
    return {row[0] for row in asked(workspace, "postgres", "select datname from pg_database")}


@pytest.fixture
def gone(workspaces: Callable[..., Workspace]) -> Iterator[list[tuple[Workspace, str]]]:
    """Databases to drop at the end."""
    made: list[tuple[Workspace, str]] = []
    yield made
    for workspace, name in made:
        run_sql(make_conninfo(workspace.conninfo, dbname="postgres"), "drop database if exists {} with (force)", name)


Gone = list[tuple[Workspace, str]]


@pytest.mark.parametrize("major", [15, 17, 18])
def test_one_of_each_thing_comes_back_in_a_new_database(
    major: int, databases: Databases, workspaces: Callable[..., Workspace], gone: Gone
) -> None:
    conninfo = databases(major, name=f"Of = 'it' {major}")
    fill(conninfo, _ODD.read_text())
    workspace = workspaces(conninfo)
    name = f"Back = 'again' {major}"
    gone.append((workspace, name))
    try:
        backed_up(workspace)
        outcome = carried_out(workspace, plan_restore_new(workspace, "latest", name))
        outcome.raise_if_failed()
        rows = {(one["schema"], one["name"]): one["rows"] for one in outcome.results["verify"]["tables"]}
        assert rows["public", 'we"ird; drop table x'] == 2
        assert rows["app", "line\nbreak"] == 0
        query = 'select * from "we""ird; drop table x" order by 1'
        there = make_conninfo(workspace.conninfo, dbname=name)
        with psycopg.connect(conninfo) as old, psycopg.connect(there) as new:
            assert new.execute(query).fetchall() == old.execute(query).fetchall()
        mark = "select shobj_description(oid, 'pg_database') from pg_database where datname = current_database()"
        assert asked(workspace, name, mark) == [(None,)]
        assert left_behind(workspace) == []
        with pytest.raises(Refused, match="already exists"):
            plan_restore_new(workspace, "latest", name)
    finally:
        run_sql(make_conninfo(conninfo, dbname="postgres"), "drop database if exists {} with (force)", name)
        for thing in ("drop owned by {} cascade", "drop role {}"):
            run_sql(conninfo, thing, "odd owner")


class Then(Quiet):
    """Does something when a step begins."""

    def __init__(self, key: str, act: Callable[[], object]) -> None:
        self.key, self.act = key, act

    def step_started(self, number: int, total: int, step: Step) -> None:
        if step.key == self.key:
            self.act()


@pytest.fixture
def restaurant_backup(
    tabsync_database: Callable[..., str], workspaces: Callable[..., Workspace]
) -> tuple[Workspace, str]:
    """The workspace of a TabSync database, and a backup of it."""
    workspace = workspaces(tabsync_database())
    return workspace, backed_up(workspace)


def test_what_does_not_restore_is_named_and_dropped_again(restaurant_backup: tuple[Workspace, str]) -> None:
    workspace, _ = restaurant_backup
    before = databases_of(workspace)
    plan = plan_restore_new(workspace, "latest", "half_made")
    # A type of the same name is in the way, as in a database that is not empty.
    clash = make_conninfo(workspace.conninfo, dbname="half_made")
    outcome = carried_out(workspace, plan, Then("restore", lambda: fill(clash, 'create type "UserRole" as (a int)')))
    assert isinstance(outcome.error, FailedPartway)
    assert "UserRole" in outcome.error.fact
    assert outcome.results["tidy_database"] == {"dropped": True}
    assert databases_of(workspace) == before
    assert left_behind(workspace) == []


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        ("delete from payments where id = (select min(id::text)::uuid from payments)", "table public.payments has"),
        ("drop table audit_logs cascade", "table public.audit_logs is missing"),
        ("select setval('staff_id_seq', 1)", "sequence public.staff_id_seq is at"),
        ("alter table staff drop constraint staff_user_id_fkey", "staff_user_id_fkey of public.staff"),
    ],
    ids=["row", "table", "sequence", "key"],
)
def test_what_did_not_arrive_is_named(harm: str, told: str, restaurant_backup: tuple[Workspace, str]) -> None:
    workspace, _ = restaurant_backup
    there = make_conninfo(workspace.conninfo, dbname="harmed")
    plan = plan_restore_new(workspace, "latest", "harmed")
    outcome = carried_out(workspace, plan, Then("verify", lambda: fill(there, harm)))
    assert isinstance(outcome.error, FailedPartway)
    assert told in outcome.error.fact
    assert "harmed" not in databases_of(workspace)


def test_a_damaged_backup_is_found_before_the_server_is_touched(restaurant_backup: tuple[Workspace, str]) -> None:
    workspace, backup = restaurant_backup
    file = next(file for file in workspace.store().manifest(backup).files if file.table == "payments")
    injure(LocalStore(workspace.store_root), file.digest, "flip")
    outcome = carried_out(workspace, plan_restore_new(workspace, backup, "never_made"))
    assert isinstance(outcome.error, ProblemFound)
    assert "public.payments" in outcome.error.fact
    assert "create" not in outcome.results
    assert "never_made" not in databases_of(workspace)


def test_a_database_made_in_the_meantime_is_not_touched(restaurant_backup: tuple[Workspace, str], gone: Gone) -> None:
    workspace, _ = restaurant_backup
    gone.append((workspace, "quick"))
    plan = plan_restore_new(workspace, "latest", "quick")
    run_sql(workspace.conninfo, "create database {}", "quick")
    outcome = carried_out(workspace, plan)
    assert isinstance(outcome.error, Refused)
    assert outcome.results["tidy_database"] == {"dropped": False}
    assert "quick" in databases_of(workspace)


def test_it_works_when_the_database_is_gone(restaurant_backup: tuple[Workspace, str], gone: Gone) -> None:
    workspace, _ = restaurant_backup
    name = str(psycopg.conninfo.conninfo_to_dict(workspace.conninfo)["dbname"])
    run_sql(make_conninfo(workspace.conninfo, dbname="postgres"), "drop database {} with (force)", name)
    gone.append((workspace, name))
    outcome = carried_out(workspace, plan_restore_new(workspace, "latest", name))
    outcome.raise_if_failed()
    assert asked(workspace, name, "select count(*) from orders") == [(300,)]


@pytest.mark.parametrize("closed", ["datallowconn = false", "datconnlimit = -2"], ids=["closed", "half dropped"])
def test_it_works_when_the_database_lets_nobody_in(
    restaurant_backup: tuple[Workspace, str], gone: Gone, closed: str
) -> None:
    workspace, _ = restaurant_backup
    name = str(psycopg.conninfo.conninfo_to_dict(workspace.conninfo)["dbname"])
    change = f"update pg_database set {closed} where datname = '{name}'"
    fill(make_conninfo(workspace.conninfo, dbname="postgres"), change)
    gone.append((workspace, "beside"))
    carried_out(workspace, plan_restore_new(workspace, "latest", "beside")).raise_if_failed()
    assert asked(workspace, "beside", "select count(*) from orders") == [(300,)]


def test_missing_roles_are_named_and_can_be_left_out(
    tabsync_database: Callable[..., str], workspaces: Callable[..., Workspace], gone: Gone
) -> None:
    conninfo = tabsync_database()
    run_sql(conninfo, "create role {}", "some one")
    fill(conninfo, 'alter table staff owner to "some one"; grant select on users to "some one"')
    workspace = workspaces(conninfo)
    backup = backed_up(workspace)
    for thing in ("reassign owned by {} to current_user", "drop owned by {}", "drop role {}"):
        run_sql(conninfo, thing, "some one")
    with pytest.raises(Refused, match='roles are missing on this server: "some one"') as refused:
        plan_restore_new(workspace, backup)
    assert "--no-owner" in refused.value.hint
    plan = plan_restore_new(workspace, backup, no_owner=True)
    database = str(plan.steps[1].arguments["database"])
    gone.append((workspace, database))
    carried_out(workspace, plan).raise_if_failed()
    assert asked(workspace, database, "select count(*) > 0 from staff") == [(True,)]


def test_there_is_no_such_backup(restaurant_backup: tuple[Workspace, str]) -> None:
    with pytest.raises(BadUsage, match="no backup"):
        plan_restore_new(restaurant_backup[0], "20200101T000000Z-beef")


_USERS = "select md5(string_agg(u::text, ';' order by id)), count(*) from users u"
_PARTS = (
    "select 'index', indexname::text from pg_indexes where tablename = 'users'"
    " union select 'constraint', conname::text from pg_constraint where conrelid = 'users'::regclass"
    " union select 'trigger', tgname::text from pg_trigger where tgrelid = 'users'::regclass and not tgisinternal"
    " union select 'default', pg_get_expr(adbin, adrelid) from pg_attrdef where adrelid = 'users'::regclass"
    " union select 'comment', obj_description('users'::regclass) order by 1, 2"
)
_TABLES = "select relname from pg_class where relkind = 'r' and oid >= 16384"


def database_of(plan: Plan) -> str:
    return str(next(step for step in plan.steps if step.key == "restore").arguments["database"])


def own_database(workspace: Workspace) -> str:
    return str(psycopg.conninfo.conninfo_to_dict(workspace.conninfo)["dbname"])


def test_a_table_comes_back_where_pg_restore_alone_fails(
    restaurant_backup: tuple[Workspace, str], databases: Databases, directory: Path, gone: Gone
) -> None:
    workspace, backup = restaurant_backup
    (directory / "dump").mkdir()
    workspace.store().lay_out(workspace.store().manifest(backup), directory / "dump")
    alone = databases()
    database = psycopg.conninfo.conninfo_to_dict(alone)["dbname"]
    done = subprocess.run(
        [str(embedded().program("pg_restore")), "--table=users", f"--dbname={database}", str(directory / "dump")],
        env=libpq_environment(alone),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert 'type "public.email_address" does not exist' in done.stderr

    plan, selection = plan_restore_tables(workspace, ["users"])
    gone.append((workspace, database_of(plan)))
    carried_out(workspace, plan).raise_if_failed()
    there, own = database_of(plan), own_database(workspace)
    assert asked(workspace, there, _USERS) == asked(workspace, own, _USERS)
    assert asked(workspace, there, _PARTS) == asked(workspace, own, _PARTS)
    assert asked(workspace, there, _TABLES) == [("users",)]
    assert selection.left_out == ()
    assert left_behind(workspace) == []


@pytest.mark.parametrize("major", [15, 17, 18])
def test_odd_tables_come_with_what_they_need(
    major: int, databases: Databases, workspaces: Callable[..., Workspace], gone: Gone
) -> None:
    conninfo = databases(major)
    fill(conninfo, _ODD.read_text())
    workspace = workspaces(conninfo)
    into = f"some tables {major}"
    try:
        backed_up(workspace)
        names = ['"we""ird; drop table x"', '"Capital Schema"."Table With Blanks"', "app.events", "app.child"]
        plan, selection = plan_restore_tables(workspace, [*names, "app.bags", "app.refers"], into=into)
        outcome = carried_out(workspace, plan)
        outcome.raise_if_failed()
        rows = {one["name"]: one["rows"] for one in outcome.results["verify"]["tables"]}
        assert rows['we"ird; drop table x'] == 2
        assert rows["events_2025"] + rows["events_rest"] == 400
        assert rows["child"] == 1
        assert [str(one) for one in selection.brought] == ["app.parent"]
        again, _ = plan_restore_tables(workspace, ["app.floats"], into=into)
        carried_out(workspace, again).raise_if_failed()
        with pytest.raises(Refused, match=r"app\.floats already exists"):
            plan_restore_tables(workspace, ["app.floats"], into=into)
    finally:
        run_sql(make_conninfo(conninfo, dbname="postgres"), "drop database if exists {} with (force)", into)
        for thing in ("drop owned by {} cascade", "drop role {}"):
            run_sql(conninfo, thing, "odd owner")


def test_into_an_existing_database_all_or_nothing(
    restaurant_backup: tuple[Workspace, str], databases: Databases
) -> None:
    workspace, _ = restaurant_backup
    other = databases()
    fill(other, """create type "UserRole" as enum ('SUPER_ADMIN')""")  # too few labels for the rows
    name = str(psycopg.conninfo.conninfo_to_dict(other)["dbname"])
    outcome = carried_out(workspace, plan_restore_tables(workspace, ["users"], into=name)[0])
    assert isinstance(outcome.error, FailedPartway)
    assert "UserRole" in outcome.error.fact
    assert asked(workspace, name, _TABLES) == []
    fill(other, 'drop type "UserRole"')
    carried_out(workspace, plan_restore_tables(workspace, ["users"], into=name)[0]).raise_if_failed()
    assert asked(workspace, name, _USERS) == asked(workspace, own_database(workspace), _USERS)


def test_what_needs_another_table_is_left_out_and_named(restaurant_backup: tuple[Workspace, str]) -> None:
    workspace, _ = restaurant_backup
    _, alone = plan_restore_tables(workspace, ["staff"])
    assert "fk constraint staff_user_id_fkey of public.staff: needs public.users" in alone.left_out
    _, both = plan_restore_tables(workspace, ["staff", "users"])
    assert not any("staff_user_id_fkey" in one for one in both.left_out)


def test_only_the_objects_of_the_tables_are_read(restaurant_backup: tuple[Workspace, str], gone: Gone) -> None:
    workspace, backup = restaurant_backup
    file = next(file for file in workspace.store().manifest(backup).files if file.table == "payments")
    injure(LocalStore(workspace.store_root), file.digest, "flip")
    plan, _ = plan_restore_tables(workspace, ["users"])
    gone.append((workspace, database_of(plan)))
    outcome = carried_out(workspace, plan)
    outcome.raise_if_failed()
    assert outcome.results["fetch"]["bytes"] < outcome.results["fetch"]["of_bytes"] / 2


def test_without_room_it_is_refused_before_anything_is_made(
    restaurant_backup: tuple[Workspace, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace, _ = restaurant_backup
    usage = shutil.disk_usage("/")._replace(free=1 << 20)
    monkeypatch.setattr("tabsync.backups.restore.space.shutil.disk_usage", lambda _: usage)
    with pytest.raises(Refused, match=r"the server's disk has 1\.0 MB free"):
        plan_restore_new(workspace)
    with pytest.raises(Refused, match="the server's disk has"):
        plan_restore_in_place(workspace)


def test_the_second_restore_tells_how_long_the_first_took(restaurant_backup: tuple[Workspace, str], gone: Gone) -> None:
    workspace, backup = restaurant_backup
    manifest = workspace.store().manifest(backup)
    plan = plan_restore_new(workspace, "latest", "estimated")
    gone.append((workspace, "estimated"))
    assert estimate(workspace.ledger(), plan, manifest).seconds is None
    outcome = carried_out(workspace, plan)
    outcome.raise_if_failed()
    told = estimate(workspace.ledger(), plan_restore_new(workspace), manifest)
    took = sum(outcome.seconds[key] for key in ("fetch", "create", "restore", "verify"))
    assert told.after == outcome.run_id
    assert told.seconds == pytest.approx(took, rel=0.05)


def test_an_unknown_table_is_answered_with_near_names(restaurant_backup: tuple[Workspace, str]) -> None:
    with pytest.raises(BadUsage, match=r"no table public\.user in") as told:
        plan_restore_tables(restaurant_backup[0], ["user"])
    assert "public.users" in told.value.hint
