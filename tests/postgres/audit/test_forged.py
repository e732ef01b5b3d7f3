"""A superuser who writes what the log takes for its own: marks, months that left, a new history, an entry twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import Any

import psycopg
import pytest
from psycopg import sql

from tabsync.audit.database.log import SEALS, log_of
from tabsync.audit.keeping.archive import Archive, plan_archive
from tabsync.audit.keeping.erase import Erase, plan_erase
from tabsync.audit.remove import plan_remove
from tabsync.audit.seals.chain import Seal, head_of
from tabsync.audit.seals.seal import newest, plan_seal
from tabsync.audit.seals.verify import Verify, plan_verify, show_verify
from tabsync.kernel.page import Page
from tabsync.kernel.plan import Plan
from tabsync.kernel.procedure import Done, Planned
from tabsync.kernel.request import Nothing
from tabsync.kernel.runner import run
from tabsync.postgres.queries import named
from tabsync.workspace import Workspace
from tests.audited import install_profile
from tests.postgres.audit.test_keeping import age, change

_SQL = named("tabsync.audit.keeping", "archive.sql")


@pytest.fixture
def unsealed(audited_database: Callable[..., str], workspaces: Callable[..., Workspace]) -> Workspace:
    return workspaces(audited_database())


@pytest.fixture
def workspace(unsealed: Workspace) -> Workspace:
    for statement in ("update users set full_name = full_name || ' jr.'", "update orders set notes = 'x'"):
        with psycopg.connect(unsealed.conninfo) as session:
            session.execute(statement.encode())
        sealed(unsealed)
    return unsealed


def does(workspace: Workspace, planned: Planned[Workspace] | Plan) -> None:
    plan = planned if isinstance(planned, Plan) else planned.plan
    run(plan, workspace, workspace.journal(), approval="--yes").raise_if_failed()


def sealed(workspace: Workspace) -> None:
    does(workspace, plan_seal(workspace, Nothing()))


def verdict(workspace: Workspace) -> Page:
    plan = plan_verify(workspace, Verify())
    outcome = run(plan, workspace, workspace.journal())
    outcome.raise_if_failed()
    return show_verify(Done(workspace, Verify(), Planned(plan), outcome))


@contextmanager
def superuser(workspace: Workspace) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    """One who switches off whatever is in his way."""
    with psycopg.connect(workspace.conninfo) as session:
        session.execute("set session_replication_role = replica")
        parts = "select oid::regclass::text from pg_class where relname like 'audit_logs%' and relkind in ('r', 'p')"
        for (table,) in session.execute(parts).fetchall():
            session.execute(sql.SQL("alter table only {} disable trigger all").format(sql.SQL(table)))
        yield session


def test_in_order_it_is_as_it_was_sealed(workspace: Workspace) -> None:
    page = verdict(workspace)
    assert (page.headline, page.exit_code) == ("THE AUDIT LOG IS AS IT WAS SEALED", 0)


def test_a_mark_of_an_erasure_that_nobody_did(workspace: Workspace) -> None:
    hashed = SEALS["hashed"]
    with superuser(workspace) as session:
        one = f"select l.id, encode({hashed}, 'hex') from audit_logs l where table_name = 'public.users'"
        number, was = session.execute(sql.SQL(one)).fetchone() or (0, "")
        session.execute("update audit_logs set db_user = 'innocent' where id = %s", [number])
        again = f"select encode({hashed}, 'hex') from audit_logs l where id = {number}"
        (now,) = session.execute(sql.SQL(again)).fetchone() or ("",)
        session.execute(
            "insert into audit_logs (action, entity_type, entity_id, new_value, origin) values ('ERASE', 'User', 'x',"
            " jsonb_build_object('id', %s::bigint, 'was', %s::text, 'now', %s::text), 'function')",
            [number, was, now],
        )
    page = verdict(workspace)
    assert (page.headline.split(":")[0], page.exit_code) == ("NOT ALL OF IT IS PROVEN", 1)
    sealed(workspace)
    assert verdict(workspace).exit_code == 1


def test_a_month_that_never_went_to_the_store(workspace: Workspace) -> None:
    with superuser(workspace) as session:
        session.execute(sql.SQL(_SQL["archives"]).format(owner=sql.Identifier("tabsync_audit")))
        mine = "from audit_logs l where table_name = 'public.users' and xid is not null"
        forged = f"""
            insert into tabsync_audit.archives (part, until, rows, name, digest, ids_and_hashes)
            select 'x', now(), 1, 'x', 'x', string_agg(int8send(l.id) || {SEALS["hashed"]}, ''::bytea) {mine}
        """
        session.execute(forged.encode())
        assert session.execute(f"delete {mine}".encode()).rowcount > 0
    page = verdict(workspace)
    assert (page.headline.split(":")[0], page.exit_code) == ("NOT ALL OF IT IS PROVEN", 1)


def test_a_history_that_begins_anew_where_nothing_was_restored(workspace: Workspace) -> None:
    with workspace.connect("tests") as connection:
        last = newest(connection)
        (first,) = connection.execute("select min(n) from tabsync_audit.seals").fetchone() or (0,)
    assert last
    with superuser(workspace) as session:
        session.execute("update audit_logs set db_user = 'innocent' where table_name = 'public.users'")
        session.execute("delete from tabsync_audit.seals")
        opening = replace(last, n=first, to_xid="0", last_id=0, rows=0, hashes=b"", previous=bytes(32), epoch=2)
        opening = replace(opening, epoch_from=0, mark="restored")
        session.execute(SEALS["seal"], asdict(replace(opening, head=head_of(opening))))
    sealed(workspace)
    assert "the chain was computed anew" in verdict(workspace).headline


def test_a_second_epoch_in_the_chain_where_nothing_was_restored(workspace: Workspace) -> None:
    with workspace.connect("tests") as connection:
        last = newest(connection)
    assert last
    opening = replace(
        last, n=last.n + 1, to_xid="0", last_id=0, rows=0, hashes=b"", previous=last.head, mark="restored"
    )
    made: Seal = replace(opening, epoch=last.epoch + 1, epoch_from=10**6)
    with superuser(workspace) as session:
        session.execute(SEALS["seal"], asdict(replace(made, head=head_of(made))))
    assert "begins a new history where nothing was restored" in verdict(workspace).headline


def test_an_entry_twice_under_one_number(workspace: Workspace) -> None:
    with superuser(workspace) as session:
        session.execute(
            "insert into audit_logs (id, action, entity_type, entity_id, created_at, xid, origin)"
            " select id, 'UPDATE', 'User', 'forged', created_at + interval '40 days', xid, 'trigger' from audit_logs"
            " where xid is not null limit 1"
        )
    assert "is there twice" in verdict(workspace).headline


def test_columns_that_are_not_sealed_are_named(workspace: Workspace) -> None:
    with psycopg.connect(workspace.conninfo) as session:
        session.execute("alter table audit_logs add column user_agent text")
    assert "user_agent" in str(verdict(workspace).data["not_sealed"])


def test_after_remove_and_install_a_new_chain_is_no_forgery(workspace: Workspace) -> None:
    does(workspace, plan_remove(workspace, Nothing()))
    install_profile(workspace.conninfo)
    sealed(workspace)
    assert verdict(workspace).headline == "THE AUDIT LOG IS AS IT WAS SEALED"


def test_masked_and_then_archived_it_is_still_known(unsealed: Workspace) -> None:
    with psycopg.connect(unsealed.conninfo, autocommit=True) as session:
        key = change(session)
        age(session)
        sealed(unsealed)
        does(unsealed, plan_erase(unsealed, Erase(key, "request")))
        session.execute("begin; select set_config('tabsync.audit_change', 'a test', true)")
        old = "update audit_logs set created_at = created_at - interval '5 years' where action = 'ERASE'"
        session.execute(old)
        session.execute("commit")
        sealed(unsealed)
        does(unsealed, plan_archive(unsealed, Archive()))
        assert session.execute("select count(*) from audit_logs where action = 'ERASE'").fetchone() == (0,)
        sealed(unsealed)
        page = verdict(unsealed)
        assert (page.headline, page.exit_code) == ("THE AUDIT LOG IS AS IT WAS SEALED", 0)
        assert page.data["gone"] > 0


def test_a_late_entry_of_a_month_that_is_gone_goes_after_it(unsealed: Workspace) -> None:
    with psycopg.connect(unsealed.conninfo, autocommit=True) as session:
        age(session)
        sealed(unsealed)
        does(unsealed, plan_archive(unsealed, Archive()))
        part = "audit_logs_until_2026_12"
        session.execute(f"create table {part} (like audit_logs including all excluding identity)".encode())
        bound = "for values from (minvalue) to ('2025-01-01 00:00+00')"
        session.execute(f"alter table audit_logs attach partition {part} {bound}".encode())
        values = "values ('X', 'Order', '1', '2024-05-05')"
        session.execute(f"insert into audit_logs (action, entity_type, entity_id, created_at) {values}".encode())
        sealed(unsealed)
        does(unsealed, plan_archive(unsealed, Archive()))
        names = session.execute("select name from tabsync_audit.archives order by n").fetchall()
        assert len(set(names)) == 2
        stored = {f"audit/{one.name}" for one in unsealed.store().files("audit")}
        assert {f"{name}.json" for (name,) in names} <= stored
    assert verdict(unsealed).exit_code == 0


def test_after_a_restore_old_months_still_go(unsealed: Workspace) -> None:
    with psycopg.connect(unsealed.conninfo, autocommit=True) as session:
        age(session)
        sealed(unsealed)
        # Another cluster: its transactions count from the beginning, so all that came over look newer than its seals.
        moved = (
            "update tabsync_audit.seals set cluster = 'another/1' where n = (select max(n) from tabsync_audit.seals)"
        )
        session.execute(moved)
        with unsealed.connect("tests") as connection:
            log_of(connection)
        sealed(unsealed)
        does(unsealed, plan_archive(unsealed, Archive()))
        assert session.execute("select count(*) from tabsync_audit.archives").fetchone() == (1,)
