"""Backups of each kind: what they hold, and that the given manual's own pg_restore and psql lines accept the files."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tabsync.backups.drill.drill import plan_drill, run_drill
from tabsync.backups.list import list_backups
from tabsync.backups.restore.in_place import plan_restore_in_place
from tabsync.backups.restore.new import plan_restore_new
from tabsync.backups.take import plan_take, plan_take_full
from tabsync.backups.take_file import plan_take_file
from tabsync.copies.dumps.contents import Kind
from tabsync.kernel.errors import BadUsage, Exit, FailedPartway, NotAllowed, Refused
from tabsync.kernel.plan import Plan
from tabsync.kernel.runner import run
from tabsync.manual.load import load
from tabsync.postgres.conninfo import libpq_environment
from tabsync.postgres.installation import clients_for
from tabsync.stores.manifest import Manifest
from tabsync.workspace import Workspace
from tests.conftest import Databases, run_sql
from tests.servers import running_server
from tests.sessions import connect


def carry_out(workspace: Workspace, plan: Plan) -> dict[str, dict[str, object]]:
    outcome = run(plan, workspace, workspace.journal())
    outcome.raise_if_failed()
    return outcome.results


def taken(workspace: Workspace, kind: Kind, *tables: str) -> Manifest:
    results = carry_out(workspace, plan_take(workspace, kind, "scheduled", tables))
    return workspace.store().manifest(str(results["commit"]["backup"]))


def held(manifest: Manifest) -> set[str]:
    return {file.table for file in manifest.files if file.table}


@pytest.mark.parametrize("major", [15, 17, 18])
def test_each_kind_holds_what_it_says(
    major: int, tabsync_database: Callable[[int], str], workspaces: Callable[..., Workspace]
) -> None:
    workspace = workspaces(tabsync_database(major))
    full = taken(workspace, "full")
    assert held(full) > {"users", "orders", "payments"}
    assert held(taken(workspace, "schema")) == set()
    data = taken(workspace, "data")
    assert held(data) == held(full)
    some = taken(workspace, "tables", "users", "public.orders", "payments")
    assert held(some) == {"users", "orders", "payments"}
    # The same rows give the same files, whatever they were taken for: they are stored once.
    digests = {file.table: file.digest for file in full.files}
    assert all(digests[file.table] == file.digest for file in (*data.files, *some.files) if file.table)
    assert [row["kind"] for row in list_backups(workspace)[0]] == ["full", "schema", "data", "tables"]


def test_partitions_come_with_their_table(databases: Databases, workspaces: Callable[..., Workspace]) -> None:
    conninfo = databases()
    for statement in (
        "create table {} (id int) partition by range (id)",
        "create table part_1 partition of {} for values from (0) to (10)",
        "create table part_2 partition of {} for values from (10) to (20)",
        "insert into {} select generate_series(0, 19)",
    ):
        run_sql(conninfo, statement, "We;ird")
    run_sql(conninfo, "create table {} (id int)", "other")
    assert held(taken(workspaces(conninfo), "tables", '"We;ird"')) == {"part_1", "part_2"}


def test_a_table_that_is_not_there_is_named(
    tabsync_database: Callable[..., str], workspaces: Callable[..., Workspace]
) -> None:
    with pytest.raises(BadUsage, match=r"no table public\.nowhere"):
        plan_take(workspaces(tabsync_database()), "tables", "manual", ["users", "nowhere"])


def test_a_drill_takes_the_newest_full_backup(
    tabsync_database: Callable[..., str], workspaces: Callable[..., Workspace]
) -> None:
    workspace = workspaces(tabsync_database())
    full, schema = taken(workspace, "full"), taken(workspace, "schema")
    manual = load(workspace.manual_path)
    assert plan_drill(workspace, manual, "latest").steps[0].arguments["backup"] == full.id
    with pytest.raises(BadUsage, match="is of kind schema"):
        plan_drill(workspace, manual, schema.id)


def test_what_may_not_be_read_is_left_out_by_name_and_makes_the_proof_partial(
    databases: Databases, workspaces: Callable[..., Workspace]
) -> None:
    conninfo = databases()
    run_sql(conninfo, "create role {} login password 'x'", "reader")
    try:
        run_sql(conninfo, "create table {} (id int)", "users")
        run_sql(conninfo, "grant select on {} to {}", "users", "reader")
        run_sql(conninfo, "create table {} (id int)", "secret")
        workspace = workspaces(make_conninfo(conninfo, user="reader", password="x"))
        plan = plan_take(workspace, "full", "manual", exclude_unreadable=True)
        assert '--exclude-table="public"."secret"' in plan.steps[0].preview.replace("'", "")
        manifest = workspace.store().manifest(str(carry_out(workspace, plan)["commit"]["backup"]))
        assert manifest.excluded == ("table public.secret: user reader may not read it",)
        report = run_drill(workspace, plan_drill(workspace, partly_manual(workspace), manifest.id))
        assert report.data["verdict"]["content"] == "partial"
        assert "secret" in report.data["verdict"]["unproven"][0]
        assert report.exit_code == Exit.PROBLEM_FOUND
    finally:
        for thing in ("drop owned by {}", "drop role {}"):
            run_sql(conninfo, thing, "reader")


def partly_manual(workspace: Workspace):  # type: ignore[no-untyped-def]
    manual = load(workspace.manual_path)
    return manual.model_copy(update={"key_tables": manual.key_tables[:1]})


def test_the_given_manuals_restore_lines_accept_the_files(
    tabsync_database: Callable[..., str], workspaces: Callable[..., Workspace], databases: Databases, directory: Path
) -> None:
    workspace = workspaces(tabsync_database())
    for form, name in (("custom", "backup.dump"), ("plain", "backup.sql")):
        carry_out(workspace, plan_take_file(workspace, "full", (), form, directory / name))
    clients = clients_for(17)
    for command in (
        [clients.program("pg_restore"), "--clean", "--if-exists", "--dbname={}", str(directory / "backup.dump")],
        [clients.program("psql"), "--set=ON_ERROR_STOP=1", "--dbname={}", f"--file={directory / 'backup.sql'}"],
    ):
        target = databases()
        argv = [str(word).format(conninfo_to_dict(target)["dbname"]) for word in command]
        env = libpq_environment(target)
        done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        with connect(target, "tests") as connection:
            assert connection.execute("select count(*) from orders").fetchone() == (300,)


def test_tables_in_a_file_are_those_alone(
    tabsync_database: Callable[..., str], workspaces: Callable[..., Workspace], directory: Path
) -> None:
    workspace, file = workspaces(tabsync_database()), directory / "critical_tables.sql"
    carry_out(workspace, plan_take_file(workspace, "tables", ["users", "orders"], "plain", file))
    text = file.read_text()
    assert "COPY public.users" in text
    assert "COPY public.payments" not in text
    with pytest.raises(Refused, match="already exists"):
        plan_take_file(workspace, "full", (), "plain", file)


def test_a_file_that_could_not_be_written_whole_is_not_there(
    tabsync_database: Callable[..., str], workspaces: Callable[..., Workspace], directory: Path
) -> None:
    conninfo, file = tabsync_database(), directory / "backup.dump"
    workspace = workspaces(conninfo)
    plan = plan_take_file(workspace, "full", (), "custom", file)
    run_sql(conninfo, "create role {} login", "poor")
    try:
        poor = workspaces(make_conninfo(conninfo, options="-c role=poor"))
        outcome = run(plan, poor, poor.journal())
        assert isinstance(outcome.error, FailedPartway)
        assert outcome.error.hint == "grant pg_read_all_data to the user that takes backups"
    finally:
        run_sql(conninfo, "drop role {}", "poor")
    assert list(directory.glob("backup.dump*")) == []


def test_the_schemas_of_a_provider_are_left_out_by_name(
    databases: Databases, workspaces: Callable[..., Workspace]
) -> None:
    """A database that looks like one of Supabase's: what hangs on its schemas is named, and the rest comes back."""
    conninfo = databases()
    roles = ("supabase_admin", "authenticator", "app_owner")
    for role in roles:
        run_sql(conninfo, "create role {} login password 'x'", role)
    run_sql(conninfo, "alter role supabase_admin superuser")
    try:
        for statement in _SUPABASE.split(";\n"):
            run_sql(conninfo, statement)
        workspace = workspaces(make_conninfo(conninfo, user="app_owner", password="x"))
        with pytest.raises(NotAllowed, match=r"may not read auth\.users") as refused:
            plan_take(workspace, "full", "manual")
        assert "--exclude-platform" in refused.value.hint
        plan = plan_take(workspace, "full", "manual", exclude_platform=True)
        manifest = workspace.store().manifest(str(carry_out(workspace, plan)["commit"]["backup"]))
        assert manifest.excluded_schemas == ("auth",)
        assert manifest.excluded == ("schema auth: it belongs to the provider",)
        assert {file.table for file in manifest.files} == {"", "profiles", "orders"}
        manual = load(workspace.manual_path).model_copy(update={"key_tables": ()})
        report = run_drill(workspace, plan_drill(workspace, manual, manifest.id))
        verdict = report.data["verdict"]
        assert verdict["content"] == "partial", report.data["error"]
        assert {line for line in verdict["unproven"] if "needs a schema" in line} == {
            "policy public.profiles own: needs a schema of the provider",
            "fk constraint public.profiles profiles_id_fkey: needs a schema of the provider",
        }
        superuser = workspaces(conninfo)
        with pytest.raises(Refused, match="has no schemas of the provider"):
            plan_restore_in_place(superuser, manifest.id)
        outcome = run(plan_restore_new(superuser, manifest.id, "elsewhere"), superuser, superuser.journal())
        outcome.raise_if_failed()
        assert len(outcome.results["verify"]["left_out"]) == 2
        assert outcome.results["verify"]["rows"] == 3
    finally:
        run_sql(conninfo, "drop database if exists {}", "elsewhere")
        for role in roles:
            for thing in ("drop owned by {} cascade", "drop role {}"):
                run_sql(conninfo, thing, role)


_SUPABASE = """
create schema auth authorization supabase_admin;
create table auth.users (id int primary key);
alter table auth.users owner to supabase_admin;
insert into auth.users values (1), (2);
create function auth.uid() returns int language sql as 'select 1';
create table profiles (id int primary key references auth.users);
insert into profiles values (1), (2);
create table orders (id int primary key);
insert into orders values (1);
alter table profiles enable row level security;
create policy own on profiles using (id = auth.uid());
alter table profiles owner to app_owner;
alter table orders owner to app_owner;
grant usage on schema auth to app_owner
"""


def test_more_tables_than_the_server_has_locks_is_told(workspaces: Callable[..., Workspace]) -> None:
    few = {"max_locks_per_transaction": "10", "max_connections": "10", "max_worker_processes": "0"}
    with running_server("locks", **few) as server:
        with connect(server.conninfo(), "tests") as connection:
            for number in range(3_000):
                connection.execute(sql.SQL("create table {} ()").format(sql.Identifier(f"t{number}")))
        workspace = workspaces(server.conninfo())
        outcome = run(plan_take_full(workspace), workspace, workspace.journal())
    assert isinstance(outcome.error, FailedPartway)
    assert "set max_locks_per_transaction to the number of tables" in outcome.error.hint
