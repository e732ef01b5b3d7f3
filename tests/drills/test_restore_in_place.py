"""A backup in the place of the database: both names exchange or none, and there is always a way back."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from tabsync.backups.restore.in_place import plan_restore_in_place, plan_undo_in_place, unfinished
from tabsync.backups.restore.rows.restore import compared, plan_write_rows
from tabsync.backups.restore.rows.undo import plan_undo_rows
from tabsync.copies.choose import backup_for
from tabsync.kernel.errors import BadUsage, FailedPartway, NotAllowed, Refused
from tabsync.postgres import catalog
from tabsync.workspace import Workspace
from tests.conftest import Databases, run_sql
from tests.drills.test_drill import left_behind
from tests.drills.test_odd_databases import fill
from tests.drills.test_restore import Then, asked, backed_up, carried_out, databases_of, own_database
from tests.postgres.cli.program import tabsync
from tests.servers import running_server
from tests.sessions import connect

_END_SLEEPERS = (
    "select pg_terminate_backend(pid) from pg_stat_activity"
    " where query like '%pg_sleep(10)%' and pid <> pg_backend_pid()"
)
_PROPERTIES = (
    "select pg_get_userbyid(datdba), datconnlimit, datacl::text, shobj_description(oid, 'pg_database'),"
    " (select array_agg((setrole::regrole::text, setconfig)::text order by 1)"
    " from pg_db_role_setting where setdatabase = d.oid)"
    " from pg_database d where datname = current_database()"
)


_LONGEST = "an_office_" * 6 + "end"  # 63 bytes, what PostgreSQL keeps of a name


@pytest.fixture
def shop(tabsync_database: Callable[..., str], workspaces: Callable[..., Workspace]) -> Iterator[Workspace]:
    """A TabSync database with a backup, damaged since; whatever is made of it is dropped at the end."""
    workspace = workspaces(tabsync_database())
    name = own_database(workspace)
    fill(
        workspace.conninfo,
        f"alter database {name} set search_path = 'odd \"one', public; alter database {name} set work_mem = '5MB';"
        f"alter role current_user in database {name} set my.own = 'it''s';"
        f"comment on database {name} is 'ours'; grant create on database {name} to pg_monitor with grant option;"
        f"revoke connect on database {name} from public; alter database {name} connection limit 50",
    )
    backed_up(workspace)
    fill(workspace.conninfo, "delete from payments; create table public.later (n int)")
    yield workspace
    for other in databases_of(workspace):
        if str(other).startswith(f"{name}_"):
            run_sql(make_conninfo(workspace.conninfo, dbname="postgres"), "drop database {} with (force)", str(other))


def payments(workspace: Workspace) -> int:
    return int(str(asked(workspace, own_database(workspace), "select count(*) from public.payments")[0][0]))


def properties(workspace: Workspace) -> list[tuple[object, ...]]:
    return asked(workspace, own_database(workspace), _PROPERTIES)


def test_it_takes_the_place_with_all_its_properties_and_goes_back(shop: Workspace) -> None:
    before = properties(shop)
    outcome = carried_out(shop, plan_restore_in_place(shop))
    outcome.raise_if_failed()
    aside = outcome.results["swap"]["aside"]
    assert payments(shop) > 0
    assert properties(shop) == before
    assert asked(shop, aside, "select count(*) from public.payments") == [(0,)]
    assert left_behind(shop) == []
    safety = shop.store().manifest(outcome.results["commit"]["backup"])
    assert safety.reason == "before-restore"
    with connect(shop.conninfo, "tests") as connection:
        assert backup_for(shop, "latest", catalog.identity(connection)).id != safety.id
    carried_out(shop, plan_undo_in_place(shop)).raise_if_failed()
    assert payments(shop) == 0
    assert properties(shop) == before
    assert aside not in databases_of(shop)


def test_a_database_whose_name_is_as_long_as_a_name_may_be(
    databases: Databases, workspaces: Callable[..., Workspace]
) -> None:
    workspace = workspaces(databases(name=_LONGEST))
    sibling = workspaces(databases(name=f"{_LONGEST[:-1]}s"))
    fill(workspace.conninfo, "create table public.payments (n int); insert into payments values (1)")
    backed_up(workspace)
    fill(workspace.conninfo, "delete from payments")
    outcome = carried_out(workspace, plan_restore_in_place(workspace))
    outcome.raise_if_failed()
    assert payments(workspace) == 1
    with pytest.raises(BadUsage, match="there is no renamed old database"):
        plan_undo_in_place(sibling)  # it is not the sibling's
    carried_out(workspace, plan_undo_in_place(workspace)).raise_if_failed()
    assert payments(workspace) == 0
    left = {str(name) for name in databases_of(workspace) if str(name).startswith(_LONGEST[:20])}
    left -= {_LONGEST, own_database(sibling)}
    for name in left:
        run_sql(make_conninfo(workspace.conninfo, dbname="postgres"), "drop database {} with (force)", name)
    assert len(left) == 1  # what was written in between


def test_sessions_are_refused_or_ended_even_when_they_come_back_at_once(shop: Workspace) -> None:
    over = threading.Event()

    def insist() -> None:
        while not over.is_set():
            try:
                with psycopg.connect(shop.conninfo) as connection:
                    connection.execute("select pg_sleep(10)")
            except psycopg.Error:
                time.sleep(0.005)

    threads = [threading.Thread(target=insist) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        time.sleep(0.3)
        with pytest.raises(Refused, match="is in use by"):
            plan_restore_in_place(shop)
        carried_out(shop, plan_restore_in_place(shop, terminate=True)).raise_if_failed()
    finally:
        over.set()
        run_sql(
            make_conninfo(shop.conninfo, dbname="postgres"),
            _END_SLEEPERS,
        )
        for thread in threads:
            thread.join()
    assert payments(shop) > 0


def test_a_session_that_comes_in_between_leaves_everything_as_it_was(shop: Workspace) -> None:
    before = databases_of(shop)
    opened: list[psycopg.Connection[tuple[object, ...]]] = []
    late = Then("swap", lambda: opened.append(psycopg.connect(shop.conninfo)))
    outcome = carried_out(shop, plan_restore_in_place(shop), late)
    opened[0].close()
    assert isinstance(outcome.error, Refused)
    assert "being accessed by other users" in outcome.error.fact
    assert databases_of(shop) == before
    assert payments(shop) == 0


def test_without_a_backup_of_what_is_there_nothing_goes_on(shop: Workspace) -> None:
    plan = plan_restore_in_place(shop)
    backup = str(next(step for step in plan.steps if step.key == "commit").arguments["backup"])
    taken = shop.store_root / "manifests" / f"{backup}.json"
    outcome = carried_out(shop, plan, Then("commit", lambda: taken.write_text("{}")))
    assert outcome.error is not None
    assert "create" not in outcome.results
    assert payments(shop) == 0


def test_the_seeds_way_replaces_what_is_there_in_one_transaction(shop: Workspace) -> None:
    plan = plan_restore_in_place(shop, clean=True)
    assert "--clean --if-exists --single-transaction" in next(one.preview for one in plan.steps if one.key == "restore")
    assert plan.risk.value == "destructive"
    in_the_way = "create table public.in_the_way (id uuid references public.users)"
    failed = carried_out(shop, plan, Then("restore", lambda: fill(shop.conninfo, in_the_way)))
    assert isinstance(failed.error, FailedPartway)
    assert payments(shop) == 0
    fill(shop.conninfo, "drop table public.in_the_way")
    carried_out(shop, plan_restore_in_place(shop, clean=True)).raise_if_failed()
    assert payments(shop) > 0


def test_who_may_not_rename_is_told_of_the_other_way(shop: Workspace) -> None:
    from dataclasses import replace

    run_sql(shop.conninfo, "create role {} login password 'x' createdb in role pg_read_all_data", "no_owner")
    name = own_database(shop)
    try:
        run_sql(shop.conninfo, "grant connect on database {} to {}", name, "no_owner")
        other = replace(shop, conninfo=make_conninfo(shop.conninfo, user="no_owner", password="x"))
        with pytest.raises(NotAllowed, match="may not rename") as told:
            plan_restore_in_place(other, no_owner=True, terminate=True)
        assert "--clean" in told.value.hint
    finally:
        run_sql(shop.conninfo, "revoke connect on database {} from {}", name, "no_owner")
        run_sql(shop.conninfo, "drop role {}", "no_owner")


def test_the_command_asks_for_the_name_and_says_how_to_go_back(shop: Workspace, directory: Path) -> None:
    (directory / "tabsync.toml").write_text(f'database = "{shop.conninfo}"\nstore = "{shop.store_root}"\n')
    refused = tabsync(directory, "restore", "in-place")
    assert refused.code == 4
    assert payments(shop) == 0
    shown = tabsync(directory, "restore", "in-place", "--dry-run")
    assert shown.code == 0
    assert "rename to" in shown.out
    done = tabsync(directory, "restore", "in-place", "--yes", "--json")
    assert (done.code, done.json["set_aside"].split("_")[1]) == (0, "before")
    assert payments(shop) > 0
    back = tabsync(directory, "restore", "in-place", "--undo", "--yes")
    assert (back.code, payments(shop)) == (0, 0)
    assert unfinished(shop) == []


@pytest.mark.parametrize("clean", [False, True])
def test_a_prepared_transaction_is_seen_before_anything_starts(
    clean: bool, workspaces: Callable[..., Workspace]
) -> None:
    """It belongs to no session, keeps the database from being renamed, and holds its locks against --clean."""
    with running_server("prepared", max_prepared_transactions="2") as server:
        run_sql(server.conninfo(), "create database {}", "shop")
        workspace = workspaces(server.conninfo("shop"))
        fill(workspace.conninfo, "create table t (x int)")
        backed_up(workspace)
        with connect(workspace.conninfo, "tests") as connection:
            connection.execute("begin")
            connection.execute("insert into t values (1)")
            connection.execute("prepare transaction 'it''s paid'")
        with pytest.raises(Refused, match="the prepared transaction it's paid keeps shop from being replaced") as told:
            plan_restore_in_place(workspace, "latest", clean=clean)
        assert "rollback prepared 'it''s paid'" in told.value.hint
        fill(workspace.conninfo, "rollback prepared 'it''s paid'")
        carried_out(workspace, plan_restore_in_place(workspace, "latest", clean=clean)).raise_if_failed()


def test_what_writes_into_the_live_database_claims_it(shop: Workspace) -> None:
    claimed = {f"database:{own_database(shop)}"}
    assert plan_restore_in_place(shop).claims == claimed
    assert plan_restore_in_place(shop, clean=True).claims == claimed
    with compared(shop, "payments", "true") as found:
        writing = plan_write_rows(shop, found)
        assert writing.claims == claimed
        swapping = plan_restore_in_place(shop)
        journal = shop.journal()
        run = journal.begin(swapping, "tests")
        with pytest.raises(Refused, match=r"restore in-place by .* uses database:") as refused:
            shop.journal().begin(writing, "tests")
        assert run in refused.value.hint
        journal.finish(run, "done")
        outcome = carried_out(shop, writing)
        assert plan_undo_rows(shop, outcome.run_id).claims == claimed
