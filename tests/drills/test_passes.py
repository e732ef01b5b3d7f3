"""Whether a backup restores never depends on which table comes first: what failed is tried again after the others."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from tabsync.backups.restore.file import plan_restore_file
from tabsync.backups.restore.in_place import plan_restore_in_place
from tabsync.backups.restore.new import plan_restore_new
from tabsync.backups.restore.tables import plan_restore_tables
from tabsync.kernel.errors import Exit, FailedPartway
from tabsync.postgres.conninfo import libpq_environment
from tabsync.postgres.installation import clients_for
from tabsync.stores.local import LocalStore
from tabsync.workspace import Workspace
from tests.conftest import Databases
from tests.drills.test_drill import drill, injure
from tests.drills.test_odd_databases import fill, manual
from tests.drills.test_restore import Gone, asked, backed_up, carried_out, database_of, databases_of, gone
from tests.mixed import mix_messages
from tests.postgres.cli.program import tabsync

__all__ = ["gone", "manual"]

READS_ANOTHER = """
    create table zdict (v text primary key);
    insert into zdict values ('a');
    create function known(x text) returns boolean language sql stable
      as 'select exists (select from public.zdict where v = x)';
    create domain known_text as text check (public.known(value));
    create table adata (id int primary key, v text check (known(v)));
    insert into adata values (1, 'a');
    create table awords (w known_text);
    insert into awords values ('a');
    create table mtwice (id int, n int);
    insert into mtwice values (1, 2), (2, 3);
    create table ycount (n int check (public.known('a')));
    create function stands(x int) returns boolean language sql stable
      as 'select exists (select from public.ycount where n = x)';
    insert into ycount values (2), (3);
    alter table mtwice add check (stands(n));
    create function rows_of_z() returns bigint language sql immutable as 'select count(*) from public.zdict';
    create index counted on awords ((length(w) + rows_of_z()));
    create materialized view aview as select rows_of_z() as n;
    create materialized view zview as select count(*) as n from zdict;
    create function of_view() returns bigint language sql stable as 'select n from public.zview';
    create materialized view abase as select of_view() as n;
"""
"""Tables whose constraints, indexes and views read others in functions; by name they come before those."""

MISSING_KEY = """
    create table p (id int primary key);
    create table c (id int primary key, p int references p);
    insert into p values (1), (2);
    insert into c values (1, 1), (2, 2);
    create table t (id int primary key);
    insert into t select generate_series(1, 50);
    create view both_of as select p.id from p join c on c.p = p.id;
    set session_replication_role = replica;
    delete from p where id = 2;
"""

COMMENT = "select shobj_description(oid, 'pg_database') from pg_database where datname = current_database()"


def same(workspace: Workspace, database: str) -> None:
    assert asked(workspace, database, "select v from adata union all select w from awords") == [("a",), ("a",)]
    assert asked(workspace, database, "select (select n from aview), (select n from zview)") == [(1, 1)]
    assert asked(workspace, database, "select count(*) from mtwice") == [(2,)]


@pytest.mark.parametrize("major", [15, 17, 18])
def test_a_constraint_that_reads_another_table_comes_back_each_time(
    major: int, databases: Databases, workspaces: Callable[..., Workspace], gone: Gone, manual: Path
) -> None:
    conninfo = databases(major)
    fill(conninfo, READS_ANOTHER)
    workspace = workspaces(conninfo, manual)
    backup = backed_up(workspace)
    for number in range(2):
        report = drill(workspace, backup)
        assert report.data["error"] is None
        assert report.exit_code == Exit.DONE
        gone.append((workspace, f"again{number}"))
        carried_out(workspace, plan_restore_new(workspace, backup, f"again{number}")).raise_if_failed()
        same(workspace, f"again{number}")


def test_also_when_workers_write_into_one_line(
    databases: Databases, workspaces: Callable[..., Workspace], gone: Gone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each writes its messages in parts, and the parts of two may come mixed: as here, seen on a busy machine."""
    conninfo = databases(17)
    fill(conninfo, READS_ANOTHER)
    workspace = workspaces(conninfo)
    backup = backed_up(workspace)
    mixed = mix_messages(monkeypatch)
    gone.append((workspace, "mixed"))
    carried_out(workspace, plan_restore_new(workspace, backup, "mixed")).raise_if_failed()
    same(workspace, "mixed")
    assert mixed


def test_also_in_one_transaction(databases: Databases, workspaces: Callable[..., Workspace], gone: Gone) -> None:
    conninfo = databases(17)
    fill(conninfo, READS_ANOTHER)
    workspace = workspaces(conninfo)
    backed_up(workspace)
    fill(conninfo, "truncate adata, awords, mtwice, zdict")
    carried_out(workspace, plan_restore_in_place(workspace, "latest", clean=True)).raise_if_failed()
    same(workspace, str(psycopg.conninfo.conninfo_to_dict(conninfo)["dbname"]))
    into = str(psycopg.conninfo.conninfo_to_dict(databases(17))["dbname"])
    plan, _ = plan_restore_tables(workspace, ["adata", "zdict"], into=into)
    carried_out(workspace, plan).raise_if_failed()
    assert asked(workspace, into, "select v from adata") == [("a",)]
    plan, _ = plan_restore_tables(workspace, ["adata", "zdict"])
    gone.append((workspace, database_of(plan)))
    carried_out(workspace, plan).raise_if_failed()
    assert asked(workspace, database_of(plan), "select v from adata") == [("a",)]


@pytest.mark.parametrize("rows", ["--format=custom", "--format=tar", "--inserts"])
def test_also_from_a_file_that_others_made(
    rows: str, databases: Databases, workspaces: Callable[..., Workspace], directory: Path, gone: Gone
) -> None:
    conninfo = databases(17)
    fill(conninfo, READS_ANOTHER)
    workspace = workspaces(conninfo)
    file = directory / "foreign.dump"
    program = clients_for(17).program("pg_dump")
    form = "--format=custom" if rows == "--inserts" else rows
    subprocess.run([program, form, rows, f"--file={file}"], env=libpq_environment(conninfo), check=True)
    gone.append((workspace, "from_file"))
    carried_out(workspace, plan_restore_file(workspace, file, "from_file")).raise_if_failed()
    same(workspace, "from_file")


def test_rows_that_can_never_come_are_told_with_what_the_server_said(
    databases: Databases, workspaces: Callable[..., Workspace]
) -> None:
    conninfo = databases(17)
    fill(conninfo, MISSING_KEY)
    workspace = workspaces(conninfo)
    backup = backed_up(workspace)
    outcome = carried_out(workspace, plan_restore_new(workspace, backup, "not_whole"))
    assert isinstance(outcome.error, FailedPartway)
    assert 'violates foreign key constraint "c_p_fkey"' in outcome.error.fact
    assert 'Key (p)=(2) is not present in table "p".' in outcome.error.fact
    assert f"tabsync drill --backup {backup}" in outcome.error.hint
    assert "--keep-what-came" in outcome.error.hint
    assert "not_whole" not in databases_of(workspace)


def test_what_came_is_kept_on_demand_and_says_that_it_is_not_whole(
    databases: Databases, workspaces: Callable[..., Workspace], gone: Gone
) -> None:
    conninfo = databases(17)
    fill(conninfo, MISSING_KEY)
    workspace = workspaces(conninfo)
    backup = backed_up(workspace)
    gone.append((workspace, "partly"))
    outcome = carried_out(workspace, plan_restore_new(workspace, backup, "partly", keep_what_came=True))
    assert isinstance(outcome.error, FailedPartway)
    assert outcome.error.exit_code == Exit.FAILED_PARTWAY
    assert "partly is incomplete: fk constraint public." in outcome.error.fact
    missing = outcome.results["settle"]["missing"]
    assert any("Key (p)=(2)" in one["told"] for one in missing)
    assert outcome.results["tidy_database"] == {"dropped": False}
    assert asked(workspace, "partly", "select count(*) from t") == [(50,)]
    assert asked(workspace, "partly", "select count(*) from both_of") == [(1,)]
    assert asked(workspace, "partly", "select count(*) from pg_constraint where contype = 'p' and oid > 16383") == [
        (3,)
    ]
    ((comment,),) = asked(workspace, "partly", COMMENT)
    assert str(comment).startswith(
        f"tabsync: PARTIAL restore of backup {backup}, run {outcome.run_id}: this failed: fk"
    )
    whole = carried_out(workspace, plan_restore_new(workspace, backup, "whole", keep_what_came=False))
    assert whole.results["tidy_database"] == {"dropped": True}


def test_a_damaged_object_costs_its_table_and_no_other(
    databases: Databases, workspaces: Callable[..., Workspace], gone: Gone
) -> None:
    conninfo = databases(17)
    fill(conninfo, "create table lost as select 1 as a; create table kept as select 2 as a; select lo_create(7)")
    workspace = workspaces(conninfo)
    backup = backed_up(workspace)
    file = next(file for file in workspace.store().manifest(backup).files if file.table == "lost")
    injure(LocalStore(workspace.store_root), file.digest, "flip")
    gone.append((workspace, "rest"))
    outcome = carried_out(workspace, plan_restore_new(workspace, backup, "rest", keep_what_came=True))
    assert isinstance(outcome.error, FailedPartway)
    assert "table data public.lost: its stored object" in outcome.error.fact
    assert asked(workspace, "rest", "select a from kept") == [(2,)]
    assert asked(workspace, "rest", "select a from lost") == []


@pytest.mark.parametrize("json", [False, True])
def test_the_command_lists_what_is_missing_and_ends_with_5(
    json: bool, databases: Databases, directory: Path, workspaces: Callable[..., Workspace], gone: Gone
) -> None:
    conninfo = databases(17)
    fill(conninfo, MISSING_KEY)
    workspace = workspaces(conninfo)
    backed_up(workspace)
    gone.append((workspace, "by_command"))
    given = [f"--database={conninfo}", f"--store={directory / 'store'}", "--as=by_command", "--keep-what-came"]
    done = tabsync(directory, "restore", "new", *given, *(["--json"] if json else []))
    assert done.code == 5
    assert "Key (p)=(2)" in done.out, done.out
    if json:
        told = done.json
        assert told["partial"] is True
        assert told["error"]["exit_code"] == 5
        assert told["missing"][0]["detail"] == 'Key (p)=(2) is not present in table "p".'
    else:
        assert "PARTLY restored into by_command: 3 tables, 53 rows." in done.out
