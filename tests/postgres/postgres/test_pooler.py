"""Behind a real PgBouncer: in session mode all works, in transaction mode nothing of ours gets to the application."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from tabsync.backups.take import plan_take_full
from tabsync.kernel.errors import Exit, Refused
from tabsync.kernel.runner import run
from tabsync.postgres.connect import connect, program_environment
from tabsync.workspace import Workspace
from tests.conftest import Databases, missing, run_sql
from tests.pooler import PROGRAM, pgbouncer

NAMES = ("statement_timeout", "lock_timeout", "search_path", "idle_in_transaction_session_timeout", "jit", "TimeZone")


@pytest.fixture(autouse=True)
def installed() -> None:
    if shutil.which(PROGRAM) is None:
        missing("pgbouncer")


@pytest.fixture
def conninfo(databases: Databases) -> str:
    return databases(17)


def settings_of_clients(through: str, clients: int = 4) -> set[tuple[str, ...]]:
    """What several clients of the pooler see at the same time."""
    held = [psycopg.connect(through, prepare_threshold=None) for _ in range(min(clients, 2))]
    try:
        found = set()
        for one in held:
            row = one.execute("select " + ", ".join(f"current_setting('{name}')" for name in NAMES)).fetchone()
            found.add(tuple(row or ()))
        return found
    finally:
        for one in held:
            one.close()


@pytest.mark.parametrize("mode", ["transaction", "statement"])
@pytest.mark.parametrize("more", [{}, {"server_round_robin": "1"}, {"ignore_startup_parameters": "options"}], ids=str)
def test_nothing_of_ours_gets_to_the_application(
    conninfo: str, directory: Path, workspaces: Callable[[str], Workspace], mode: str, more: dict[str, str]
) -> None:
    with pgbouncer(directory, conninfo, mode, **more) as through:
        before = settings_of_clients(through) if mode == "transaction" else set()
        for _ in range(3):
            with pytest.raises(Refused, match="pooler in transaction mode") as refused:
                connect(through, "health")
            assert refused.value.exit_code is Exit.REFUSED
            assert "the server itself" in refused.value.hint
        with pytest.raises(Refused, match="pooler in transaction mode"):
            plan_take_full(workspaces(through))
        with pytest.raises(Refused, match="pooler in transaction mode"):
            program_environment(through, "backup")
        assert mode == "statement" or settings_of_clients(through) == before


def test_one_backend_is_enough_to_see_it(conninfo: str, directory: Path) -> None:
    with (
        pgbouncer(directory, conninfo, "transaction", default_pool_size="1") as through,
        pytest.raises(Refused, match="pooler in transaction mode"),
    ):
        connect(through, "health")


def test_a_busy_pooler_is_seen_through(conninfo: str, directory: Path) -> None:
    """Other clients take the backends between two looks of ours."""
    with pgbouncer(directory, conninfo, "transaction", default_pool_size="3") as through, busy(through, 6):
        for _ in range(5):
            with pytest.raises(Refused, match="pooler in transaction mode"):
                connect(through, "health")


@pytest.mark.parametrize("more", [{}, {"default_pool_size": "1"}, {"ignore_startup_parameters": "options"}], ids=str)
def test_a_pooler_in_session_mode_is_as_good_as_the_server(
    conninfo: str, directory: Path, more: dict[str, str]
) -> None:
    with pgbouncer(directory, conninfo, "session", **more) as through:
        before = settings_of_clients(through, 1)
        with connect(through, "health") as connection:
            row = connection.execute("select current_setting('search_path'), current_setting('jit')").fetchone()
            assert row == ("pg_catalog, pg_temp", "off")
            assert connection.execute("select current_setting('lock_timeout')").fetchone() == ("1s",)
        assert settings_of_clients(through, 1) == before


def test_a_backup_through_a_pooler_in_session_mode(
    tabsync_database: Callable[..., str], directory: Path, workspaces: Callable[[str], Workspace]
) -> None:
    with pgbouncer(directory, tabsync_database(), "session", default_pool_size="10") as through:
        workspace = workspaces(through)
        outcome = run(plan_take_full(workspace), workspace, workspace.journal())
        assert outcome.error is None


def test_a_preset_that_programs_would_run_under_is_named(conninfo: str, directory: Path) -> None:
    database = conninfo.partition("dbname=")[2].split()[0]
    run_sql(conninfo, "alter database {} set default_transaction_read_only = on", database)
    with (
        pgbouncer(directory, conninfo, "session") as through,
        pytest.raises(Refused, match="default_transaction_read_only") as refused,
    ):
        program_environment(through, "restore")
    assert "the server itself" in refused.value.hint


@contextmanager
def busy(through: str, clients: int) -> Iterator[None]:
    """Clients that ask without a pause."""
    over = threading.Event()

    def ask() -> None:
        with psycopg.connect(through, autocommit=True, prepare_threshold=None) as session:
            while not over.is_set():
                session.execute("select 1")

    threads = [threading.Thread(target=ask) for _ in range(clients)]
    for one in threads:
        one.start()
    try:
        yield
    finally:
        over.set()
        for one in threads:
            one.join()
