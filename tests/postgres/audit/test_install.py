"""Installing the audit log and removing it again: what is made, what is left, what stands against it, who waits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from threading import Event, Thread
from typing import Any

import psycopg
import pytest

from tabsync.audit.database import locks
from tabsync.kernel.errors import FailedPartway, Refused
from tabsync.workspace import Workspace
from tests.postgres.audit.steps import Died, dies_at, installs, removes, repairs, status
from tests.whole import WHOLE

OURS = """
select 'schema' as what, nspname::text from pg_namespace where nspname like 'tabsync%'
union all select 'role', rolname::text from pg_roles where rolname like 'tabsync%'
union all select 'trigger', tgname::text from pg_trigger where tgname like 'tabsync%'
union all select 'function', proname::text from pg_proc where pronamespace::regnamespace::text like 'tabsync%'
union all select 'constraint', conname::text from pg_constraint where conname like 'tabsync%'
"""
LOG = """
select relowner::regrole::text, relacl::text,
       (select count(*) from audit_logs), (select max(id) from audit_logs), (select md5(string_agg(row_to_json((
         select x from (select l.id, l.user_id, l.action, l.entity_type, l.entity_id, l.old_value, l.new_value,
                               l.created_at) x))::text, ',' order by l.id)) from audit_logs l where xid is null)
  from pg_class where oid = 'audit_logs'::regclass
"""


@pytest.fixture(params=(15, 17, 18) if WHOLE else (15, 18))
def workspace(request: pytest.FixtureRequest, tabsync_database: Any, workspaces: Callable[..., Workspace]) -> Workspace:
    return workspaces(tabsync_database(request.param))


@pytest.fixture
def newest(tabsync_database: Any, workspaces: Callable[..., Workspace]) -> Workspace:
    return workspaces(tabsync_database(17))


@pytest.fixture
def session(newest: Workspace) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(newest.conninfo, autocommit=True) as opened:
        yield opened


def asked(workspace: Workspace, statement: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(workspace.conninfo, autocommit=True) as session:
        return session.execute(statement).fetchall()


def test_installed_removed_and_installed_again(workspace: Workspace) -> None:
    with psycopg.connect(workspace.conninfo, autocommit=True) as session:
        session.execute("alter table audit_logs add column xid xid8")  # for the comparison below
        session.execute("create role reader")
        session.execute("grant select, insert on audit_logs to reader")
    try:
        before = asked(workspace, LOG)
        page = installs(workspace)
        assert page.headline == "INSTALLED: changes of 11 tables are written to public.audit_logs"
        assert status(workspace).headline.startswith("IN ORDER: changes of 11 tables")
        assert asked(workspace, LOG)[0][2:] == before[0][2:]
        with psycopg.connect(workspace.conninfo, autocommit=True) as session:
            session.execute("set role reader")
            columns = "(action, entity_type, entity_id)"
            session.execute(f"insert into audit_logs {columns} values ('LOOK', 'Menu', '1')")
            session.execute("select count(*) from audit_logs")
            for given in ("id", "xid", "origin", "actor"):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    session.execute(f"insert into audit_logs {columns[:-1]}, {given}) values ('a', 'b', 'c', null)")
            for statement in ("delete from audit_logs", "update audit_logs set action = 'x'", "truncate audit_logs"):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    session.execute(statement)
        said = "select action, origin, db_role from audit_logs where id > %s"
        assert asked(workspace, said % before[0][3])[-1] == ("LOOK", "statement", "reader")
        removes(workspace)
        assert [one for one in asked(workspace, OURS) if one[0] != "role"] == []
        after = asked(workspace, LOG)
        assert after[0][0] == before[0][0]
        assert sorted(after[0][1].strip("{}").split(",")) == sorted(before[0][1].strip("{}").split(","))
        assert (after[0][2], after[0][4]) == (before[0][2] + 1, before[0][4])
        with psycopg.connect(workspace.conninfo, autocommit=True) as session:
            session.execute("set role reader")
            session.execute("insert into audit_logs (action, entity_type, entity_id) values ('LOOK', 'Menu', '2')")
            session.execute("reset role")
            session.execute("update users set full_name = 'Ana' where id = (select id from users limit 1)")
        installs(workspace)
        assert status(workspace).headline.startswith("IN ORDER")
        assert asked(workspace, LOG)[0][2] == before[0][2] + 2
    finally:
        with psycopg.connect(workspace.conninfo, autocommit=True) as session:
            session.execute("drop owned by reader")
            session.execute("drop role reader")


def test_a_second_install_changes_nothing(newest: Workspace) -> None:
    installs(newest)
    told = "select relname::text, relfilenode, relacl::text from pg_class where relname like 'audit%' order by 1"
    before = asked(newest, told)
    installs(newest)
    assert asked(newest, told) == before


NUMBERS = range(1, 400) if WHOLE else range(20, 400, 31)


def test_it_goes_on_whenever_it_dies(newest: Workspace, session: psycopg.Connection[Any]) -> None:
    rows = session.execute("select count(*), max(id) from audit_logs").fetchone()
    reached = 0
    for number in NUMBERS:
        with pytest.MonkeyPatch.context() as patch, dies_at(patch, number) as done, suppress(Died):
            installs(newest)
        reached = max(reached, len(done))
        if len(done) < number:
            break
    installs(newest)
    assert reached > 150
    assert status(newest).headline.startswith("IN ORDER")
    assert session.execute("select count(*), max(id) from audit_logs").fetchone() == rows
    left = "select count(*) from pg_class where relname like '%audit_logs%' and relkind = 'r' and not relispartition"
    assert session.execute(left).fetchone() == (0,)


def test_removing_goes_on_whenever_it_dies(newest: Workspace) -> None:
    installs(newest)
    for number in range(1, 200) if WHOLE else range(15, 200, 23):
        try:
            with pytest.MonkeyPatch.context() as patch, dies_at(patch, number) as done, suppress(Died):
                removes(newest)
        except Refused:
            break
        if len(done) < number:
            break
    with suppress(Refused):
        removes(newest)
    assert [one for one in asked(newest, OURS) if one[0] != "role"] == []


AGAINST = {
    "create view latest as select * from audit_logs": "the view or rule public.latest depends on",
    "create table notes (log bigint references audit_logs)": "foreign key",
    "create publication told for table audit_logs": "publication",
    "alter table audit_logs enable row level security; create policy all_of_it on audit_logs using (true)": "policy",
    "create table more () inherits (audit_logs)": "inherit",
    "create unique index once on audit_logs (action, id)": "unique index public.once lacks created_at",
    "create function f() returns text language sql as $$ select 'x' $$; "
    "alter table audit_logs alter column action set default f()": "function public.f()",
    "alter table audit_logs add column actor int": "column actor of its own, of type integer",
    "alter table audit_logs add column tenant int; update audit_logs set tenant = 1; "
    "alter table audit_logs alter column tenant set not null": "tenant of public.audit_logs is NOT NULL",
    "alter table audit_logs drop column old_value": "no column old_value",
    "alter table audit_logs alter column entity_id type varchar(40)": "has room for 40 characters",
    "alter table audit_logs alter column created_at type timestamp": "created_at of public.audit_logs is of type",
    "create function g() returns trigger language plpgsql as $$ begin return new; end $$; "
    "create trigger mine before insert on audit_logs for each row execute function g()": "trigger",
}


@pytest.mark.parametrize("statement", AGAINST, ids=range(len(AGAINST)))
def test_what_stands_against_it_is_named(newest: Workspace, session: psycopg.Connection[Any], statement: str) -> None:
    session.execute(statement)
    with pytest.raises(Refused) as refused:
        installs(newest)
    assert AGAINST[statement] in refused.value.fact
    assert asked(newest, OURS) == [one for one in asked(newest, OURS) if one[0] == "role"]


def test_writers_go_on_while_it_is_installed_and_removed(newest: Workspace) -> None:
    over = Event()
    wrote: list[int] = [0, 0, 0]
    failed: list[str] = []

    def write(number: int) -> None:
        with psycopg.connect(newest.conninfo, autocommit=True) as session:
            session.execute("set lock_timeout = '5s'")
            while not over.is_set():
                try:
                    session.execute(
                        "insert into audit_logs (action, entity_type, entity_id) values ('W', 'w', %s)", [str(number)]
                    )
                    session.execute(
                        "update restaurants set updated_at = now() where id = (select id from restaurants limit 1)"
                    )
                except psycopg.Error as error:
                    failed.append(str(error))
                wrote[number] += 1

    writers = [Thread(target=write, args=(number,)) for number in range(3)]
    for one in writers:
        one.start()
    try:
        for _ in range(2):
            installs(newest)
            removes(newest)
        installs(newest)
    finally:
        over.set()
        for one in writers:
            one.join()
    assert failed == []
    assert asked(newest, "select count(*) from audit_logs where action = 'W'") == [(sum(wrote),)]
    assert status(newest).headline.startswith("IN ORDER")


def test_an_open_transaction_is_told_and_then_it_goes_on(newest: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "PATIENCE", 0.4)
    with psycopg.connect(newest.conninfo) as holder:
        holder.execute("update orders set notes = 'x' where id = (select min(id::text)::uuid from orders)")
        with pytest.raises(FailedPartway, match=r"audit public.orders: another session holds the lock"):
            installs(newest)
    installs(newest)
    assert status(newest).headline.startswith("IN ORDER")


def test_a_log_that_is_partitioned_already_gets_what_it_lacks(workspace: Workspace) -> None:
    """Also where its default partition has entries of the months that it should have: a repair gives them one."""
    with psycopg.connect(workspace.conninfo, autocommit=True) as session:
        session.execute("drop table audit_logs")
        session.execute(
            "create table audit_logs (id bigserial, user_id uuid, action text not null, entity_type text not null,"
            " entity_id text not null, old_value jsonb, new_value jsonb, created_at timestamptz not null default now(),"
            " primary key (id, created_at)) partition by range (created_at)"
        )
        session.execute("create table old_logs partition of audit_logs for values from (minvalue) to ('2020-01-01')")
        session.execute("create table other_logs partition of audit_logs default")
        session.execute(
            "insert into audit_logs (action, entity_type, entity_id, created_at)"
            " values ('X', 'Y', '1', '2019-01-01'), ('X', 'Y', '2', now())"
        )
    installs(workspace)
    assert {one["part"] for one in status(workspace).data["drift"] if not one["weak"]} == {"months", "default"}
    repairs(workspace)
    repairs(workspace)  # the months after those that the default partition had entries of
    (left,) = status(workspace).data["drift"]
    assert left["told"].startswith("1 partition of the log is older than the manual keeps entries")
    with psycopg.connect(workspace.conninfo, autocommit=True) as session:
        session.execute("update users set full_name = 'Ana' where email = 'user@example.com'")
        found = session.execute("select action, tableoid::regclass::text from audit_logs order by id").fetchall()
    assert [action for action, _ in found] == ["X", "X", "UPDATE"]
    assert len({part for _, part in found}) == 2
