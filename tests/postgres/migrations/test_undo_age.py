"""What was there before a migration and looks younger than it: it stays, whatever the ages of its rows say."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from tabsync.kernel.errors import Refused
from tabsync.migrations.undo.undo import Undo, plan_undo
from tabsync.postgres import embedded
from tabsync.system.account import server_account
from tabsync.workspace import Workspace
from tests.postgres.migrations.history import History, half_done
from tests.servers import running_server

_FIRST = "create table plate (id int primary key, name text); insert into plate values (1, 'a')"
_ORDERS = "create table orders (id int primary key); insert into orders values (1)"
_REWRITTEN = """
set allow_system_table_mods = on;
update pg_class set relname = relname where oid >= 16384;
update pg_attribute set attnum = attnum where attrelid >= 16384;
update pg_depend set deptype = deptype where objid >= 16384
"""
"""What pg_upgrade leaves: the files of the tables as they were, with a catalog that is younger than their rows."""


def broken(history: History, script: str) -> None:
    """A migration that fails since something is there, in words that its tool's notes don't tell."""
    half_done(history, "2_broken", script, fails="already exists")
    with psycopg.connect(history.conninfo, autocommit=True) as session:
        session.execute("update _prisma_migrations set logs = 'unbekannter Fehler' where finished_at is null")


def done(conninfo: str, script: str) -> None:
    with psycopg.connect(conninfo, autocommit=True) as session:
        for one in script.split(";"):
            session.execute(one.encode())


def test_after_pg_upgrade_the_catalog_is_younger_than_the_history(
    databases: Callable[..., str], directory: Path, workspaces: Callable[..., Workspace]
) -> None:
    history = History(databases(), directory)
    history.applied("1_first", f"{_FIRST}; {_ORDERS}")
    done(history.conninfo, _REWRITTEN)
    broken(history, "create table orders (id int primary key)")
    with pytest.raises(Refused, match="can't tell its age since a restore"):
        plan_undo(workspaces(history.conninfo), Undo("2_broken", history.folder))


def test_after_a_restored_dump_an_index_is_younger_than_the_history(
    databases: Callable[..., str], directory: Path, workspaces: Callable[..., Workspace]
) -> None:
    history = History(databases(), directory)
    history.applied("1_first", _FIRST)
    pkey = "alter table _prisma_migrations drop constraint _prisma_migrations_pkey, add primary key (id)"
    done(history.conninfo, f"{pkey}; create index plate_name on plate (name)")  # as a dump does, after the rows
    broken(history, "create index plate_name on plate (name)")
    with pytest.raises(Refused, match="can't tell its age since a restore"):
        plan_undo(workspaces(history.conninfo), Undo("2_broken", history.folder))


MADE = {
    "function f": "create function f(int) returns int language sql as 'select 42'",
    "type mood": "create type mood as enum ('a')",
}


@pytest.mark.parametrize("thing", MADE)
def test_what_was_granted_since_is_as_old_as_it_was(
    thing: str, databases: Callable[..., str], directory: Path, workspaces: Callable[..., Workspace]
) -> None:
    history = History(databases(), directory)
    history.applied("1_first", f"{_FIRST}; {MADE[thing]}")
    done(history.conninfo, f"grant all on {thing} to public")
    broken(history, MADE[thing])
    with pytest.raises(Refused, match="what is there was there before it"):
        plan_undo(workspaces(history.conninfo), Undo("2_broken", history.folder))


def test_a_column_is_as_old_as_those_behind_it(
    databases: Callable[..., str], directory: Path, workspaces: Callable[..., Workspace]
) -> None:
    history = History(databases(), directory)
    history.applied("1_first", "create table plate (id int primary key, price int, name text)")
    done(history.conninfo, "alter table plate alter price set default 0")
    broken(history, "alter table plate add column price int")
    with pytest.raises(Refused, match="what is there was there before it"):
        plan_undo(workspaces(history.conninfo), Undo("2_broken", history.folder))


def test_a_table_that_was_renamed_for_a_new_one_gets_its_name_back(
    databases: Callable[..., str], directory: Path, workspaces: Callable[..., Workspace]
) -> None:
    history = History(databases(), directory)
    history.applied("1_first", _FIRST)
    script = """alter table plate rename to plate_old; create table plate (id bigint primary key, name text);
        insert into plate select * from plate_old; select 1/0"""
    half_done(history, "2_broken", script)
    (step,) = plan_undo(workspaces(history.conninfo), Undo("2_broken", history.folder)).plan.steps
    assert step.preview.splitlines()[1] == 'alter table "public"."plate_old" rename to "plate";  -- line 1'


def test_what_is_older_than_2_to_the_31_transactions_is_not_younger_than_the_migration(
    directory: Path, workspaces: Callable[..., Workspace]
) -> None:
    with running_server("wrap") as server:
        history = History(server.conninfo("postgres"), directory)
        history.applied("1_first", f"{_FIRST}; {_ORDERS}")
        later(server, 1_200_000_000)
        later(server, 2_400_000_000)
        history.applied("1_recent", "create table recent (id int)")
        broken(history, "create table orders (id int primary key)")
        with psycopg.connect(history.conninfo) as session:
            age = session.execute("select max(age(xmin)) from pg_attribute where attrelid = 'orders'::regclass")
            assert (age.fetchone() or (0,))[0] < 0
        workspace = workspaces(history.conninfo)
        with pytest.raises(Refused, match="what is there was there before it"):
            plan_undo(workspace, Undo("2_broken", history.folder))
        for count in (3_600_000_000, 4_294_967_000):
            later(server, count)
        with psycopg.connect(history.conninfo, autocommit=True) as session:
            for _ in range(400):
                session.execute("select pg_current_xact_id()")
        with pytest.raises(Refused, match="can't tell its age since a restore"):
            plan_undo(workspace, Undo("2_broken", history.folder))


def later(server: embedded.Server, to: int) -> None:
    """Let a server have begun so many transactions, after it has frozen all that is older."""
    with psycopg.connect(server.conninfo("postgres"), autocommit=True) as session:
        session.execute("alter database template0 allow_connections true")
    for name in ("postgres", "template1", "template0"):
        with psycopg.connect(server.conninfo(name), autocommit=True) as session:
            session.execute("vacuum freeze")
    embedded.stop(server)
    segment = server.data / "pg_xact" / f"{to // (8192 * 4 * 32):04X}"
    segment.write_bytes(bytes([0x55]) * 262_144)
    server_account().own(server.data)
    account = server.data.stat()
    command = [str(server.installation.program("pg_resetwal")), "-f", "-x", str(to), str(server.data)]
    subprocess.run(command, check=True, user=account.st_uid, group=account.st_gid, cwd="/", stdout=subprocess.DEVNULL)
    embedded.start(server)
