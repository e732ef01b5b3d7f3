"""What a dump holds of the database itself comes back under the new name, and what it doesn't hold is told."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tabsync.backups.restore.file import plan_restore_file
from tabsync.backups.restore.in_place import plan_restore_in_place
from tabsync.backups.restore.new import plan_restore_new
from tabsync.backups.restore.tables import plan_restore_tables
from tabsync.kernel.errors import Exit
from tabsync.postgres.connect import program_environment
from tabsync.postgres.installation import clients_for
from tabsync.workspace import Workspace
from tests.conftest import Databases, run_sql
from tests.drills.test_drill import drill
from tests.drills.test_odd_databases import fill, manual
from tests.drills.test_restore import Gone, asked, backed_up, carried_out, gone
from tests.postgres.cli.program import tabsync

__all__ = ["gone", "manual"]

ROLES = ("set reader", "set owner", "set granter")

HOSTILE = {
    "default_transaction_read_only": "on",
    "statement_timeout": "1",
    "lock_timeout": "1",
    "idle_in_transaction_session_timeout": "1",
    "idle_session_timeout": "1",
    "datestyle": "German",
    "session_replication_role": "replica",
    "role": "set reader",
    "search_path": "app",
    "default_tablespace": "nowhere",
    "row_security": "off",
    "check_function_bodies": "on",
    "default_table_access_method": "heap",
    "temp_tablespaces": "a;drop/**/role/**/x",
    "my.own": "it's; \\n \\\\",
}

SET = """
    create table t (id int primary key);
    insert into t select generate_series(1, 10);
    create table u (id int references t);
"""

FACTS = """
    select datconnlimit, datistemplate, (select array_agg(a::text order by a::text) from unnest(datacl) a),
           pg_get_userbyid(datdba)::text,
           shobj_description(oid, 'pg_database'),
           (select array_agg(setrole::regrole::text || ' ' || setconfig::text order by setrole::regrole::text)
              from pg_db_role_setting where setdatabase = d.oid)
      from pg_database d where datname = %s
"""


@pytest.fixture
def set_up(databases: Databases) -> Iterator[Callable[[int], str]]:
    """A database with everything that a database itself can have."""
    made: list[str] = []

    def make(major: int) -> str:
        conninfo = databases(major)
        made.append(conninfo)
        name = conninfo_to_dict(conninfo)["dbname"]
        fill(conninfo, SET)
        beside = make_conninfo(conninfo, dbname="postgres")
        for role in ROLES:
            run_sql(beside, "create role {}", role)
        with psycopg.connect(beside, autocommit=True) as connection:
            for setting, value in HOSTILE.items():
                one = ".".join(f'"{part}"' for part in setting.split("."))
                connection.execute(psycopg.sql.SQL(f"alter database {name} set {one} = {{}}").format(value))
            for statement in (
                f"alter role \"set reader\" in database {name} set work_mem = '8MB'",
                f"alter database {name} connection limit 17",
                f"comment on database {name} is 'it''s prod'",
                f"revoke connect on database {name} from public",
                f'grant connect on database {name} to "set reader"',
                f'grant create on database {name} to "set granter" with grant option',
                'set role "set granter"',
                f'grant create on database {name} to "set reader"',
                "reset role",
                f'alter database {name} owner to "set owner"',
                f"alter database {name} is_template true",
            ):
                connection.execute(statement)
        return conninfo

    yield make
    for conninfo in made:
        beside, name = make_conninfo(conninfo, dbname="postgres"), str(conninfo_to_dict(conninfo)["dbname"])
        with psycopg.connect(beside, autocommit=True) as connection:
            for (one,) in connection.execute("select datname from pg_database where not datistemplate").fetchall():
                if one.startswith("settled"):
                    run_sql(beside, "drop database {} with (force)", one)
            for (one,) in connection.execute("select datname from pg_database where datistemplate").fetchall():
                if one.startswith(("settled", name)):
                    run_sql(beside, "alter database {} is_template false", one)
                    run_sql(beside, "drop database {} with (force)", one)
        for role in ROLES:
            run_sql(beside, "drop owned by {} cascade", role)
            run_sql(beside, "drop role {}", role)


def facts_of(conninfo: str, database: str) -> tuple[object, ...]:
    with psycopg.connect(make_conninfo(conninfo, dbname="postgres")) as connection:
        row = connection.execute(FACTS, [database]).fetchone()
        assert row is not None
        return row


@pytest.mark.parametrize("major", [15, 17, 18])
def test_the_database_comes_back_as_it_was_and_nothing_of_it_is_in_the_way(
    major: int, set_up: Callable[[int], str], workspaces: Callable[..., Workspace], manual: Path
) -> None:
    conninfo = set_up(major)
    workspace = workspaces(conninfo, manual)
    backup = backed_up(workspace)
    outcome = carried_out(workspace, plan_restore_new(workspace, backup, "settled new"))
    outcome.raise_if_failed()
    assert outcome.results["settle"]["refused"] == []
    before = facts_of(conninfo, str(conninfo_to_dict(conninfo)["dbname"]))
    assert facts_of(conninfo, "settled new") == before
    report = drill(workspace, backup)
    assert report.data["error"] is None
    assert report.exit_code == Exit.DONE
    plain = carried_out(workspace, plan_restore_new(workspace, backup, "settled plain", no_owner=True))
    plain.raise_if_failed()
    limit, template, acl, _, comment, settings = facts_of(conninfo, "settled plain")
    assert (limit, template, acl, comment, settings) == (17, True, None, "it's prod", before[5])


def test_also_of_a_file_that_others_made(
    set_up: Callable[[int], str], workspaces: Callable[..., Workspace], directory: Path
) -> None:
    conninfo = set_up(17)
    workspace = workspaces(conninfo)
    file = directory / "theirs.dump"
    program = clients_for(17).program("pg_dump")
    subprocess.run(
        [program, "--format=custom", f"--file={file}"], env=program_environment(conninfo, "tests"), check=True
    )
    carried_out(workspace, plan_restore_file(workspace, file, "settled file")).raise_if_failed()
    assert facts_of(conninfo, "settled file") == facts_of(conninfo, str(conninfo_to_dict(conninfo)["dbname"]))


def test_nothing_that_is_preset_is_in_the_way_of_a_restore_into_it(
    set_up: Callable[[int], str], workspaces: Callable[..., Workspace], directory: Path
) -> None:
    """In the database itself: dropped and created, some tables, and a script as a user whose role presets the same."""
    conninfo = set_up(17)
    workspace = workspaces(conninfo)
    name = str(conninfo_to_dict(conninfo)["dbname"])
    backed_up(workspace)
    beside = make_conninfo(conninfo, dbname="postgres")
    run_sql(beside, "alter database {} reset all", name)
    fill(conninfo, "drop table u; delete from t; drop table t")
    for setting in ("default_transaction_read_only to on", "statement_timeout to 1", "search_path to app", "role to x"):
        with contextlib.suppress(psycopg.errors.InvalidParameterValue):  # of the role: there is none such
            run_sql(beside, "alter database {} set " + setting, name)
    plan, _ = plan_restore_tables(workspace, ["t"], into=name)
    carried_out(workspace, plan).raise_if_failed()
    carried_out(workspace, plan_restore_in_place(workspace, "latest", clean=True)).raise_if_failed()
    assert carried_out(workspace, plan_restore_new(workspace, "latest", "settled again")).error is None
    script = directory / "script.sql"
    script.write_text("create table public.s as select 1 as a;\n")
    for setting in ("default_transaction_read_only to on", "statement_timeout to 1", "search_path to app"):
        run_sql(beside, "alter role {} set " + setting, "set owner")
    run_sql(beside, "alter role {} login createdb password 'x'", "set owner")
    theirs = workspaces(make_conninfo(beside, user="set owner", password="x"))
    carried_out(theirs, plan_restore_file(theirs, script, "settled script")).raise_if_failed()
    assert asked(workspace, "settled script", "select a from public.s") == [(1,)]


def test_in_place_and_undo_keep_what_the_database_has(
    set_up: Callable[[int], str], workspaces: Callable[..., Workspace]
) -> None:
    conninfo = set_up(17)
    workspace = workspaces(conninfo)
    name = str(conninfo_to_dict(conninfo)["dbname"])
    backed_up(workspace)
    before = facts_of(conninfo, name)
    carried_out(workspace, plan_restore_in_place(workspace, "latest")).raise_if_failed()
    assert facts_of(conninfo, name) == before


def test_who_may_not_is_told_the_statement(
    set_up: Callable[[int], str], workspaces: Callable[..., Workspace], directory: Path
) -> None:
    conninfo = set_up(17)
    beside = make_conninfo(conninfo, dbname="postgres")
    backed_up(workspaces(conninfo))
    run_sql(beside, "create role {} login createdb password 'x'", "settled by")
    try:
        theirs = make_conninfo(conninfo, dbname="postgres", user="settled by", password="x")
        given = [f"--database={theirs}", f"--store={directory / 'store'}", "--as=settled theirs", "--from"]
        backup = workspaces(conninfo).store().manifests()[0][-1].id
        done = tabsync(directory, "restore", "new", *given, backup, "--no-owner", "--json")
        assert done.code == 0, done.err
        refused = {one["statement"] for one in done.json["not_given"]}
        assert any("work_mem" in one and '"settled theirs"' in one for one in refused)
        assert facts_of(conninfo, "settled theirs")[0] == 17
        roles = {one["name"] for one in done.json["not_in_this_backup"] if one["kind"] == "role"}
        assert roles == set()  # they are all here
        again = tabsync(directory, "restore", "new", *given[:-2], "--as=settled again", "--from", backup, "--no-owner")
        assert 'ALTER ROLE "set reader" IN DATABASE "settled again" SET work_mem TO' in again.err.replace("\n", "")
    finally:
        for name in ("settled theirs", "settled again"):
            if asked(workspaces(conninfo), "postgres", f"select 1 from pg_database where datname = '{name}'"):
                run_sql(beside, "alter database {} is_template false", name)
                run_sql(beside, "drop database {} with (force)", name)
        run_sql(beside, "drop role {}", "settled by")


def test_what_no_dump_has_is_listed_with_the_statement_that_makes_it(
    databases: Databases, workspaces: Callable[..., Workspace], directory: Path, gone: Gone
) -> None:
    conninfo = databases(17)
    workspace = workspaces(conninfo)
    beside = make_conninfo(conninfo, dbname="postgres")
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute("create role lost_soul createdb; alter role lost_soul set work_mem = '9MB'")
        connection.execute(
            "create role lost_group; grant lost_group to lost_soul; grant set on parameter work_mem to lost_soul"
        )
        connection.execute("alter role lost_soul set temp_tablespaces = 'a;drop/**/role/**/x', 'B \"c'")
        connection.execute("alter role lost_soul set app.secret = 'hunter2'")
        connection.execute(
            "create subscription far connection 'host=nowhere password=hunter2' publication p, q with (connect = false)"
        )
        connection.execute("create extension postgres_fdw; create server far foreign data wrapper postgres_fdw")
        connection.execute("create foreign table elsewhere (a int) server far")
    backup = backed_up(workspace)
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute("alter subscription far set (slot_name = none); drop subscription far")
        connection.execute("drop owned by lost_soul; drop role lost_soul, lost_group")
    manifest = workspace.store().manifest(backup)
    assert manifest.not_in_this_backup is not None
    assert "hunter2" not in str(manifest.to_bytes())
    gone.append((workspace, "with_list"))
    given = [f"--database={conninfo}", f"--store={directory / 'store'}", "--as=with_list"]
    done = tabsync(directory, "restore", "new", *given, "--json")
    assert not [one for one in done.json["not_in_this_backup"] if one["kind"] == "unknown"]
    told = {(one["kind"], one["name"]): one["statement"] for one in done.json["not_in_this_backup"]}
    assert told["role", "lost_soul"] == "CREATE ROLE lost_soul WITH NOSUPERUSER INHERIT CREATEDB NOLOGIN;"
    assert told["setting of a role", "lost_soul work_mem"] == "ALTER ROLE lost_soul SET work_mem TO '9MB';"
    assert ("setting of a role", "lost_soul app.secret") in told
    spaces = "ALTER ROLE lost_soul SET temp_tablespaces TO 'a;drop/**/role/**/x', 'B \"c';"
    assert told["setting of a role", "lost_soul temp_tablespaces"] == spaces
    assert ("rows of a foreign table", "public.elsewhere") in told
    assert told["subscription", "far"].startswith("CREATE SUBSCRIPTION far CONNECTION '...' PUBLICATION p, q WITH (")
    assert told["planner statistics", str(conninfo_to_dict(conninfo)["dbname"])] == "ANALYZE;"
    makes = [
        told[kind, name]
        for kind, name in told
        if kind in ("role", "membership", "setting of a role", "grant on a parameter")
    ]
    with psycopg.connect(beside) as connection:  # each can be pasted
        for statement in makes:
            connection.execute(statement)
        assert connection.execute("select pg_has_role('lost_soul', 'lost_group', 'usage')").fetchone() == (True,)
        connection.rollback()
