"""Taking a backup while the world moves: one snapshot, clear refusals, and nothing half-made that counts."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
import zstandard
from psycopg.conninfo import make_conninfo

from tabsync.backups.drill.drill import plan_drill
from tabsync.backups.list import list_backups
from tabsync.backups.take import plan_take_full
from tabsync.copies.dumps import pg_dump as dump_module
from tabsync.kernel.errors import BadUsage, CannotConnect, Exit, FailedPartway, NotAllowed, ProblemFound, Refused
from tabsync.kernel.runner import Outcome, Quiet, run
from tabsync.ledger.evidence import latest_evidence
from tabsync.manual.load import load
from tabsync.postgres import installation
from tabsync.stores.local import LocalStore
from tabsync.stores.manifest import Manifest
from tabsync.workspace import Workspace
from tests.conftest import Databases, run_sql
from tests.sessions import connect


def take(workspace: Workspace, listener: Quiet | None = None) -> Outcome:
    return run(plan_take_full(workspace), workspace, workspace.journal(), listener)


def taken(workspace: Workspace) -> Manifest:
    take(workspace).raise_if_failed()
    return workspace.store().find("latest")


def rows_of(workspace: Workspace, manifest: Manifest, table: str) -> list[bytes]:
    """The lines of a table's COPY data in the store."""
    (file,) = [file for file in manifest.files if file.table == table]
    with LocalStore(workspace.store_root).object_path(file.digest).open("rb") as stored:
        content = zstandard.ZstdDecompressor().stream_reader(stored).read()
    lines: list[bytes] = content.splitlines()
    return [line for line in lines if line and line != b"\\."]


def nothing_counts(workspace: Workspace) -> None:
    assert workspace.store().ids() == []
    assert list((workspace.store_root / "staging").glob("*")) == []
    assert latest_evidence(workspace.ledger(), "backup") is None


def test_a_plan_makes_not_even_a_directory(databases: Databases, workspaces: Callable[..., Workspace]) -> None:
    workspace = workspaces(databases())
    plan = plan_take_full(workspace)
    assert (plan.steps[0].key, workspace.store_root.exists(), workspace.home.exists()) == ("dump", False, False)


def test_a_transfer_between_two_tables_keeps_its_sum(
    databases: Databases, workspaces: Callable[..., Workspace]
) -> None:
    conninfo = databases()
    for statement in (
        "create table account_a (balance bigint)",
        "create table account_b (balance bigint)",
        "create table filler as select generate_series(1, 50000) as x",
        "insert into account_a values (1000000)",
        "insert into account_b values (0)",
    ):
        run_sql(conninfo, statement)
    stop, moved = threading.Event(), []

    def transfer() -> None:
        with psycopg.connect(conninfo) as connection:
            while not stop.is_set():
                with connection.transaction():
                    connection.execute("update account_a set balance = balance - 1")
                    connection.execute("update account_b set balance = balance + 1")
                moved.append(1)

    thread = threading.Thread(target=transfer)
    thread.start()
    workspace = workspaces(conninfo)
    try:
        manifests = [taken(workspace) for _ in range(3)]
    finally:
        stop.set()
        thread.join()
    found = []
    for manifest in manifests:
        (a,), (b,) = rows_of(workspace, manifest, "account_a"), rows_of(workspace, manifest, "account_b")
        assert int(a) + int(b) == 1_000_000
        found.append(int(b))
    assert sorted(set(found)) == found  # each backup is later than the one before, and money moved meanwhile
    assert len(moved) > found[-1] > 0
    # A table that did not change is stored once.
    assert len({file.digest for one in manifests for file in one.files if file.table == "filler"}) == 1


def test_row_level_security_without_bypassrls_is_told(
    databases: Databases, workspaces: Callable[..., Workspace]
) -> None:
    conninfo = databases()
    run_sql(conninfo, "create table secrets (x int)")
    run_sql(conninfo, "alter table secrets enable row level security")
    run_sql(conninfo, "create role reader login password 'reader'")
    try:
        run_sql(conninfo, "grant pg_read_all_data to reader")
        workspace = workspaces(make_conninfo(conninfo, user="reader", password="reader"))
        with pytest.raises(NotAllowed, match="row-level security hides rows") as told:
            take(workspace)
        assert "bypassrls" in told.value.hint
        nothing_counts(workspace)
        run_sql(conninfo, "alter role reader bypassrls")
        assert [file.table for file in taken(workspace).files if file.table] == ["secrets"]
    finally:
        run_sql(conninfo, "drop owned by reader")
        run_sql(conninfo, "drop role reader")


def test_tables_that_may_not_be_read_are_named_before_anything_is_done(
    databases: Databases, workspaces: Callable[..., Workspace]
) -> None:
    conninfo = databases()
    for number in range(7):
        run_sql(conninfo, "create table {} (x int)", f"Table {number}")
    run_sql(conninfo, "create role stranger login password 'x'")
    try:
        workspace = workspaces(make_conninfo(conninfo, user="stranger", password="x"))
        with pytest.raises(NotAllowed, match=r'public."Table 0".* and 2 more') as refused:
            plan_take_full(workspace)
        assert refused.value.hint.startswith("grant pg_read_all_data to stranger")
    finally:
        run_sql(conninfo, "drop role stranger")


def test_a_table_locked_by_a_migration_is_given_up_on(
    databases: Databases, workspaces: Callable[..., Workspace], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dump_module, "LOCK_WAIT", 200)
    conninfo = databases()
    run_sql(conninfo, "create table busy (x int)")
    workspace = workspaces(conninfo)
    with psycopg.connect(conninfo) as migration:
        migration.execute("lock table busy in access exclusive mode")
        error = take(workspace).error
    assert isinstance(error, FailedPartway)
    assert "pg_dump could not lock a table" in error.fact
    assert "tabsync status" in error.hint
    nothing_counts(workspace)
    assert taken(workspace).id in workspace.store().ids()


@pytest.fixture
def only_15(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    found = tuple(one for one in installation.installations() if one.major == 15)
    monkeypatch.setattr(installation, "installations", lambda: found)
    yield


@pytest.mark.usefixtures("only_15")
def test_a_server_newer_than_the_tools_is_refused_with_what_to_install(
    tabsync_database: Callable[..., str], workspaces: Callable[..., Workspace]
) -> None:
    workspace = workspaces(tabsync_database(17))
    with pytest.raises(Refused, match="PostgreSQL 17, newer than every pg_dump") as refused:
        plan_take_full(workspace)
    assert refused.value.exit_code is Exit.REFUSED
    assert "postgresql-client-17" in refused.value.hint
    assert workspace.store().ids() == []


def test_a_database_that_was_swapped_after_the_plan_is_not_dumped(
    databases: Databases, workspaces: Callable[..., Workspace]
) -> None:
    conninfo = databases()
    workspace = workspaces(conninfo)
    plan = plan_take_full(workspace)
    name = str(plan.target["database"])
    run_sql(make_conninfo(conninfo, dbname="postgres"), "drop database {}", name)
    run_sql(make_conninfo(conninfo, dbname="postgres"), "create database {}", name)
    outcome = run(plan, workspace, workspace.journal())
    assert isinstance(outcome.error, Refused)
    assert "the plan was made for another database: database_oid" in outcome.error.fact
    nothing_counts(workspace)


class CutOff(Quiet):
    """Ends the sessions of a backup while it runs."""

    def __init__(self, conninfo: str) -> None:
        self.conninfo, self.ended = conninfo, 0

    def progress(self, done: float, total: float, unit: str) -> None:
        with connect(self.conninfo, "tests") as connection:
            query = (
                "select count(pg_terminate_backend(pid)) from pg_stat_activity"
                " where application_name = 'tabsync/backup' and datname = current_database()"
                " and query like 'COPY %big%'"  # what is ended later hinders nobody
            )
            row = connection.execute(query).fetchone()
        self.ended += row[0] if row else 0


def test_a_backup_that_is_cut_off_does_not_count(
    tabsync_database: Callable[..., str], workspaces: Callable[..., Workspace]
) -> None:
    workspace = workspaces(tabsync_database())
    run_sql(workspace.conninfo, "create table {} as select g, md5(g::text) from generate_series(1, 600000) g", "big")
    cut = CutOff(workspace.conninfo)
    outcome = take(workspace, cut)
    assert cut.ended > 0
    assert isinstance(outcome.error, FailedPartway | CannotConnect)
    assert (outcome.failed_step, "tidy_store" in outcome.results) == ("dump", True)
    nothing_counts(workspace)


class Interrupt(Quiet):
    """Presses Ctrl-C as soon as a step reports progress."""

    def progress(self, done: float, total: float, unit: str) -> None:
        raise KeyboardInterrupt


def test_an_interrupted_backup_leaves_nothing(
    tabsync_database: Callable[..., str], workspaces: Callable[..., Workspace]
) -> None:
    workspace = workspaces(tabsync_database())
    outcome = take(workspace, Interrupt())
    assert isinstance(outcome.error, FailedPartway)
    assert "interrupted" in outcome.error.fact
    nothing_counts(workspace)


def test_what_the_list_says_of_a_backup(
    tabsync_database: Callable[..., str], workspaces: Callable[..., Workspace]
) -> None:
    workspace = workspaces(tabsync_database())
    run(plan_take_full(workspace, "pre-migration"), workspace, workspace.journal()).raise_if_failed()
    (row,), damaged = list_backups(workspace)
    assert damaged == []
    assert (row["reason"], row["kind"], row["proven"]) == ("pre-migration", "full", None)
    assert 0 <= row["age_seconds"] < 60
    manifest = workspace.store().manifest(row["id"])
    assert row["bytes"] == sum(
        LocalStore(workspace.store_root).object_path(file.digest).stat().st_size for file in manifest.files
    )
    assert {file.table for file in manifest.files} >= {"orders", "payments", "users"}
    evidence = latest_evidence(workspace.ledger(), "backup", manifest.subject)
    assert evidence is not None
    assert (evidence["ok"], evidence["facts"]["backup"]) == (True, manifest.id)


def test_a_store_whose_disk_is_not_mounted_is_no_empty_one(
    tabsync_database: Callable[..., str], workspaces: Callable[..., Workspace]
) -> None:
    workspace = workspaces(tabsync_database())
    assert list_backups(workspace) == ([], [])
    run(plan_take_full(workspace), workspace, workspace.journal()).raise_if_failed()
    workspace.store_root.rename(workspace.store_root.with_name("unmounted"))
    with pytest.raises(ProblemFound, match="does not exist, but backups were taken here"):
        list_backups(workspace)


def test_a_plan_changes_nothing_and_shows_no_password(
    databases: Databases, workspaces: Callable[..., Workspace]
) -> None:
    conninfo = databases()
    password = Path(str(psycopg.conninfo.conninfo_to_dict(conninfo)["passfile"])).read_text().strip().rsplit(":", 1)[1]
    workspace = workspaces(make_conninfo(conninfo, password=password))
    plan = plan_drill(workspace, load(workspace.manual_path))
    assert password not in str(plan.to_json())
    assert all(step.preview for step in plan.steps if step.key not in ("orphans",))
    assert workspace.store().ids() == []
    with pytest.raises(BadUsage, match="no full backup"):
        plan_drill(workspace, load(workspace.manual_path), "latest")
