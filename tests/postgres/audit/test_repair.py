"""What has drifted is seen, named and put right; months are made ahead, and nobody stands still meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread
from typing import Any

import psycopg
import pytest

from tabsync.audit.database import default_rows
from tabsync.audit.database.months import AHEAD, BEFORE, first_of
from tabsync.audit.repair import plan_repair
from tabsync.kernel import clock
from tabsync.kernel.request import Nothing
from tabsync.profiles.tabsync import PROFILE_MANUAL
from tabsync.workspace import Workspace
from tests.postgres.audit.steps import Died, dies_at, installs, repairs, status
from tests.whole import WHOLE

Session = psycopg.Connection[tuple[Any, ...]]


@pytest.fixture
def workspace(audited_database: Callable[..., str], workspaces: Callable[..., Workspace]) -> Workspace:
    return workspaces(audited_database(17))


@pytest.fixture
def session(workspace: Workspace) -> Iterator[Session]:
    with psycopg.connect(workspace.conninfo, autocommit=True) as opened:
        yield opened


_MONTHS = [f"{first_of(clock.now(), later):%Y_%m}" for later in range(AHEAD + 1)]
DRIFTS = {
    "alter table orders disable trigger tabsync_audit_update": "tabsync_audit_update on public.orders is disabled",
    "alter table users enable trigger all": "tabsync_audit_insert on public.users is skipped where",
    "alter table users enable replica trigger tabsync_audit_delete": "tabsync_audit_delete on public.users fires only",
    "drop trigger tabsync_audit_truncate on staff": "tabsync_audit_truncate on public.staff is missing",
    "create or replace trigger tabsync_audit_delete after delete on users referencing old table as tabsync_old"
    " for each statement execute function tabsync_audit.delete_possible('public.users', 'User', 'id', '{id}', '')": (
        "tabsync_audit_delete on public.users"
    ),
    "create or replace function tabsync_audit.insert_possible() returns trigger language plpgsql as"
    " 'begin return null; end'": "the function tabsync_audit.insert_possible was replaced",
    "alter function tabsync_audit.update_must() reset lock_timeout": "tabsync_audit.update_must was replaced",
    "alter function tabsync_audit.who() owner to postgres": "tabsync_audit.who belongs to postgres",
    "alter schema tabsync_audit owner to postgres": "the schema tabsync_audit belongs to postgres",
    "do $$ begin execute (select format('alter function %s owner to postgres', oid::regprocedure) from pg_proc"
    " where proname = 'change_role_as'); end $$": "the function change_role_as belongs to postgres",
    "drop index audit_logs_xid_id_idx": "has no index on the transaction",
    "drop index audit_logs_action_id_idx": "has no index on deletions",
    "drop index audit_logs_id_created_at_table_name_actor_db_u_idx": "has no index on times, tables and people",
    "drop function tabsync_audit.who": "tabsync_audit.who is missing",
    f"drop table audit_logs_{_MONTHS[2]}, audit_logs_{_MONTHS[3]}": "months ahead have a partition",
    "drop table audit_logs_default": "the log has no default partition",
    "alter table audit_logs owner to postgres": "public.audit_logs belongs to postgres",
    "grant delete on audit_logs to public": "PUBLIC has DELETE on public.audit_logs",
    "grant insert (actor) on audit_logs to pg_monitor": "pg_monitor has INSERT (actor) on public.audit_logs",
    "grant trigger on users to pg_monitor": "pg_monitor may create triggers on public.users",
    "grant trigger on staff to public": ("PUBLIC may create triggers on public.staff"),
    "alter table audit_logs disable trigger tabsync_audit_keep": "tabsync_audit_keep on public.audit_logs is disabled",
    "alter table audit_logs_default enable trigger all": "tabsync_audit_keep on public.audit_logs_default is skipped",
    "delete from tabsync_audit.roles where role = 'WAITER'": "the roles of the manual have changed",
    "update tabsync_audit.tables set must = false where table_name = 'users'": "public.users was installed with",
    "select nextval('tabsync_audit.gaps'), setval('tabsync_audit.last_gap', 1800000000)": "1 changes could not be",
    "insert into audit_logs (action, entity_type, entity_id, created_at) values ('x', 'x', 'x', now() + '300 days')": (
        "the default partition has 1 entries"
    ),
}


_WEAK = ("months ahead", "no index")
_TOGETHER = 1 if WHOLE else 3
"""How many are there at once: each of them is named, and one repair puts all right."""
_GROUPS = [tuple(DRIFTS)[at :: -(-len(DRIFTS) // _TOGETHER)] for at in range(-(-len(DRIFTS) // _TOGETHER))]


@pytest.mark.parametrize("statements", _GROUPS, ids=range(len(_GROUPS)))
def test_what_drifts_is_named_and_put_right(
    workspace: Workspace, session: Session, statements: tuple[str, ...]
) -> None:
    for statement in statements:
        session.execute(statement)
    page = status(workspace)
    told = [DRIFTS[one] for one in statements]
    for expected in told:
        assert any(expected in one["told"] for one in page.data["drift"]), page.data["drift"]
    assert page.exit_code == (0 if all(any(weak in one for weak in _WEAK) for one in told) else 1)
    repairs(workspace)
    assert status(workspace).data["drift"] == []
    session.execute("update users set full_name = 'Ana' where email = 'user@example.com'")
    assert session.execute("select count(*) from audit_logs where table_name = 'public.users'").fetchone() == (1,)


def test_a_new_table_is_told_until_somebody_decides(workspace: Workspace, session: Session, directory: Path) -> None:
    session.execute("create table tips (id int primary key)")
    (one,) = status(workspace).data["drift"]
    assert one["told"] == "public.tips is new and not audited"
    repairs(workspace)
    assert status(workspace).exit_code == 1
    installs(workspace)
    assert status(workspace).exit_code == 0
    text = PROFILE_MANUAL.read_text().replace("| staff | must |", "| tips | must | — | 1 year | — |\n| staff | must |")
    manual = directory / "manual.md"
    manual.write_text(text)
    other = Workspace(workspace.home, workspace.conninfo, workspace.store_root, manual, workspace.ledger_url)
    assert "public.tips is audited by the manual, and not in the database" in str(status(other).data)
    repairs(other)
    assert status(other).data["drift"] == []
    session.execute("insert into tips values (1)")
    assert session.execute("select count(*) from audit_logs where table_name = 'public.tips'").fetchone() == (1,)
    repairs(workspace)  # the first manual again
    assert status(workspace).exit_code == 0  # the table is known
    assert session.execute("select count(*) from pg_trigger where tgrelid = 'tips'::regclass").fetchone() == (0,)


def test_entries_that_name_nobody_though_somebody_acted_are_told(workspace: Workspace, session: Session) -> None:
    session.execute("select set_config('tabsync.claims', '{}', false), set_config('tabsync.signature', 'x', false)")
    session.execute("update users set full_name = 'Ana' where email = 'user@example.com'")
    page = status(workspace)
    (one,) = page.data["drift"]
    assert one["told"].startswith("1 entry of the last day can't name who acted")
    assert (one["weak"], page.exit_code) == (True, 0)


def test_a_new_partition_of_an_audited_table_is_seen(workspace: Workspace, session: Session) -> None:
    session.execute("create table staff_more (like staff including all)")
    assert "public.staff_more is new" in status(workspace).data["drift"][0]["told"]


def test_an_older_install_gets_its_indexes_partition_by_partition_whenever_it_dies(
    workspace: Workspace, session: Session
) -> None:
    session.execute("drop index audit_logs_action_id_idx, audit_logs_id_created_at_table_name_actor_db_u_idx")
    assert len(status(workspace).data["drift"]) == 2
    with pytest.MonkeyPatch.context() as patch, dies_at(patch, 1_000_000) as planned:
        plan_repair(workspace, Nothing())
    built = ""
    for number in range(6, 45, 6):
        with pytest.MonkeyPatch.context() as patch, dies_at(patch, len(planned) + number) as done, suppress(Died):
            repairs(workspace)
        built += "".join(done)
    assert all(one in built for one in ("on only", "create index concurrently", "attach partition"))
    repairs(workspace)
    assert status(workspace).data["drift"] == []
    session.execute("drop index audit_logs_tabsync_rare")
    installs(workspace)  # a second install does it, too
    assert status(workspace).data["drift"] == []
    found = session.execute(
        "select count(*) filter (where indisvalid), count(*) from pg_index i join pg_class c on c.oid = indrelid"
        " where c.relname like 'audit_logs%' and (pg_get_indexdef(indexrelid) like '%(action, id)%'"
        " or pg_get_indexdef(indexrelid) like '%autosummarize%')"
    ).fetchone()
    parts = session.execute("select count(*) from pg_inherits where inhparent = 'audit_logs'::regclass").fetchone()
    assert parts and found == (2 * (1 + parts[0]),) * 2  # of the log and of each partition


def fill(session: Session, rows: int) -> None:
    """As after months without a repair: the current one and two before have no partition, and the default has all."""
    parts = session.execute(
        "select inhrelid::regclass::text from pg_inherits where inhparent = 'audit_logs'::regclass"
        " and inhrelid <> 'audit_logs_default'::regclass"
    )
    for (name,) in parts.fetchall():
        session.execute(f"drop table {name}")
    session.execute(
        "insert into audit_logs (action, entity_type, entity_id, created_at)"
        " select 'OLD', 'x', n::text, now() - (n %% 3) * interval '30 days' from generate_series(1, %s) n",
        [rows],
    )
    session.execute(
        "insert into audit_logs (action, entity_type, entity_id, created_at) values"
        " ('OLD', 'x', 'far', 'infinity'), ('OLD', 'x', 'stray', now() + '300 days')"
    )


@pytest.mark.parametrize("few", [5_000, 100], ids=["moved", "exchanged"])
def test_the_default_partition_is_emptied_while_others_write(
    workspace: Workspace, session: Session, monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    monkeypatch.setattr(default_rows, "FEW", few)
    fill(session, 2_000)
    session.execute("alter table audit_logs disable trigger tabsync_audit_keep")  # two things to put right at once
    over, wrote = Event(), [0]

    def write() -> None:
        with psycopg.connect(workspace.conninfo, autocommit=True) as other:
            while not over.is_set():
                other.execute("update users set full_name = full_name || '.' where email = 'user@example.com'")
                wrote[0] += 1

    writer = Thread(target=write)
    writer.start()
    try:
        for number in (9, 31, 47, 58):
            with pytest.MonkeyPatch.context() as patch, dies_at(patch, number), suppress(Died):
                repairs(workspace)
        repairs(workspace)
        repairs(workspace)
    finally:
        over.set()
        writer.join()
    told = [one["told"] for one in status(workspace).data["drift"]]
    assert [one.split(":")[0] for one in told] == ["1 entry of the log"]
    assert session.execute("select count(*) from audit_logs where action = 'OLD'").fetchone() == (2_002,)
    assert session.execute("select count(*) from audit_logs where table_name = 'public.users'").fetchone() == (
        wrote[0],
    )
    assert session.execute("select count(*) from only audit_logs_default").fetchone() == (1,)
    assert session.execute("select last_value from tabsync_audit.gaps").fetchone() == (0,)


def test_no_repair_makes_a_partition_for_every_month_that_is_named(workspace: Workspace, session: Session) -> None:
    """Who may insert names the time."""
    session.execute(
        "insert into audit_logs (action, entity_type, entity_id, created_at)"
        " select 'x', 'x', 'x', now() + n * interval '1 month' from generate_series(-100, 100) n"
    )
    before = session.execute("select count(*) from pg_inherits where inhparent = 'audit_logs'::regclass").fetchone()
    repairs(workspace)
    after = session.execute("select count(*) from pg_inherits where inhparent = 'audit_logs'::regclass").fetchone()
    assert before and after
    assert 0 < after[0] - before[0] <= BEFORE - AHEAD
    page = status(workspace)
    (one,) = page.data["drift"]
    assert (one["weak"], page.exit_code) == (True, 0)
    assert one["told"].startswith(f"{100 - BEFORE} entries of the log: the time is more than")
    repairs(workspace)
    assert status(workspace).data["drift"] == page.data["drift"]
