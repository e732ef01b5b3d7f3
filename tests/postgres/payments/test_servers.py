"""payments failures on the oldest and the newest PostgreSQL, on one that speaks German, and on a standby."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from psycopg.conninfo import make_conninfo

from tabsync.kernel.errors import Exit
from tabsync.postgres import embedded
from tabsync.postgres.installation import installations
from tabsync.profiles.tabsync.generate import generate
from tabsync.profiles.tabsync.migrate import apply_schema
from tabsync.profiles.tabsync.payments.failures import Failures, look_failures
from tabsync.workspace import Workspace
from tests.conftest import missing
from tests.pooler import pgbouncer
from tests.postgres.payments.till import Till
from tests.servers import running_server, running_server_of, standby_of
from tests.sessions import connect

DOWN = {"error": {"type": "api_connection_error"}}
LINE = "stripe: 40 of 60 failed (67 %), usually 3 %: all api_connection_error (the gateway's side)"


def stocked(server: embedded.Server) -> Till:
    """A restaurant whose gateway is down."""
    with connect(server.conninfo(), "tests") as connection:
        apply_schema(connection)
        generate(connection, orders=60)
    return down(Till(server.conninfo()))


def down(till: Till) -> Till:
    till.week()
    till.pay(20)
    till.pay(40, "stripe", "FAILED", metadata=DOWN)
    return till


@pytest.mark.parametrize("major", [15, 18])
def test_the_oldest_and_the_newest(
    major: int, tabsync_database: Callable[[int], str], workspaces: Callable[..., Workspace]
) -> None:
    till = down(Till(tabsync_database(major)))
    page = look_failures(workspaces(till.conninfo), Failures())
    assert (page.exit_code, page.data["line"], page.data["unknown"]) == (Exit.PROBLEM_FOUND, LINE, [])


@pytest.fixture(scope="module")
def german() -> Iterator[embedded.Server]:
    """Debian's PostgreSQL 15, whose messages are German."""
    found = [one for one in installations() if one.major == 15 and one.has_server]
    if not found or b"de_DE.utf8" not in subprocess.run(["locale", "-a"], capture_output=True, check=True).stdout:
        missing("PostgreSQL 15, or the locale de_DE.UTF-8")
    with running_server_of(found[0], "german-till", {"lc_messages": "de_DE.UTF-8"}) as server:
        yield server


def test_a_server_that_speaks_german(german: embedded.Server, workspaces: Callable[..., Workspace]) -> None:
    till = stocked(german)
    till.run("create role kasse login password 'x'")
    kasse = workspaces(make_conninfo(till.conninfo, user="kasse", password="x"))

    def why() -> str:
        page = look_failures(kasse, Failures())
        assert page.exit_code is Exit.UNKNOWN
        return str(page.data["unknown"][0])

    assert why() == "the payments: this role may not read them; use one with pg_read_all_data"
    till.run("grant select on payments to kasse")
    till.run("grant usage on schema public to kasse")
    assert look_failures(kasse, Failures()).data["line"] == LINE
    till.run("alter table payments enable row level security")
    assert why() == "the payments: row-level security hides rows from this role; use one with BYPASSRLS"
    till.run("alter table payments rename to bezahlt")
    assert why() == "the payments: this database has no such table; name the application's with --database"


def test_behind_a_pooler_in_transaction_mode(
    directory: Path, tabsync_database: Callable[[], str], workspaces: Callable[..., Workspace]
) -> None:
    till = down(Till(tabsync_database()))
    with pgbouncer(directory, till.conninfo, "transaction") as through:
        assert look_failures(workspaces(through), Failures()).data["line"] == LINE


def test_a_standby(directory: Path, workspaces: Callable[..., Workspace]) -> None:
    with running_server("till", wal_level="replica", max_wal_senders="4") as primary:
        till = stocked(primary)
        with standby_of(primary, "standby") as standby:
            page = look_failures(workspaces(standby.conninfo()), Failures())
            assert page.data["line"] == LINE, till.conninfo
