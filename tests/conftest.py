"""Servers and databases for tests: one server per version and worker, databases cloned from templates."""

from __future__ import annotations

import contextlib
import gc
import itertools
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from psycopg import sql
from xdist.remote import Producer

from tabsync.postgres import embedded
from tabsync.postgres.installation import installations
from tabsync.postgres.settings import Limits
from tabsync.procedures import use
from tabsync.profiles.tabsync import PROFILE_MANUAL
from tabsync.system.claims import claim
from tabsync.system.profiles import load_profile
from tabsync.workspace import Workspace
from tests.audited import install_profile
from tests.clusters import copied
from tests.place import fast_place
from tests.scheduling import Together
from tests.sessions import connect
from tests.whole import WHOLE

use(load_profile("tabsync"))  # its commands are tested like all others

settings.register_profile("tabsync", deadline=None)  # no test of ours is about time
settings.load_profile("tabsync")

gc.set_threshold(50_000)  # as the program itself does: what was imported and collected is looked through all the time

_NO_LIMIT = Limits(statement_timeout=0, lock_timeout=0, idle_in_transaction_timeout=0)
_FAST = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "max_connections": "60",
    "max_prepared_transactions": "4",
}
_numbers = itertools.count(1)

Servers = Callable[[int], embedded.Server]
Databases = Callable[..., str]


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Together:
    """How the tests are handed out to the workers of `-n`."""
    return Together(config, log)


def missing(what: str) -> None:
    """Leave a test out because something isn't installed; under CI nothing may be left out."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{what} is missing, and CI may not skip")
    pytest.skip(f"{what} is missing")


@pytest.fixture(scope="session")
def place() -> Iterator[Path]:
    """A directory that the servers' account can reach, for the whole session."""
    directory = Path(tempfile.mkdtemp(prefix="tabsync-tests-", dir=fast_place()))
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is only run as a whole: it counts neither as passed nor as skipped."""
    left = [] if WHOLE else [one for one in items if one.get_closest_marker("whole")]
    config.hook.pytest_deselected(items=left)
    items[:] = [one for one in items if one not in left]


def pytest_collection_finish() -> None:
    """What stays to the end needs no looking through."""
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _clusters(place: Path) -> Iterator[None]:
    """Clusters are copies, whoever makes them in this process."""
    shared = os.environ.get("PYTEST_XDIST_TESTRUNUID")
    templates = fast_place() / f"tabsync-templates-{shared}" if shared else place / "templates"
    users = templates / "users"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(embedded, "_initdb", copied(embedded._initdb, templates))
        users.mkdir(parents=True, exist_ok=True)
        (users / str(os.getpid())).touch()
        yield
    (users / str(os.getpid())).unlink()
    with contextlib.suppress(OSError):
        users.rmdir()  # the last one deletes them
        shutil.rmtree(templates)


@pytest.fixture
def directory(place: Path) -> Path:
    """A fresh directory below it, for one test."""
    fresh = place / f"test-{next(_numbers)}"
    fresh.mkdir()
    return fresh


@pytest.fixture(scope="session")
def servers(place: Path) -> Iterator[Servers]:
    """A running server of a major version, started when first asked for."""
    running: dict[int, embedded.Server] = {}

    def of(major: int) -> embedded.Server:
        if major not in running:
            found = [one for one in installations() if one.major == major and one.has_server]
            if not found:
                missing(f"PostgreSQL {major}")
            held = claim(place / f"server-{major}")
            assert held is not None
            server = embedded.create(held.directory, settings=_FAST, installation=found[0])
            embedded.start(server)
            running[major] = server
        return running[major]

    yield of
    for server in running.values():
        embedded.destroy(server)


@pytest.fixture(scope="session")
def server(servers: Servers) -> embedded.Server:
    """The embedded PostgreSQL 17."""
    return servers(17)


@pytest.fixture
def databases(servers: Servers) -> Iterator[Databases]:
    """Makes databases: databases(17), databases(17, template="..."); gives a connection string, drops it at the end."""
    made: list[tuple[int, str]] = []

    def make(major: int = 17, template: str = "template0", name: str = "") -> str:
        server = servers(major)
        name = name or f"db{next(_numbers)}"
        run_sql(server.conninfo(), "create database {} template {} strategy file_copy", name, template)
        made.append((major, name))
        return server.conninfo(name)

    yield make
    for major, name in made:
        run_sql(servers(major).conninfo(), "drop database if exists {} with (force)", name)


@pytest.fixture(scope="session")
def restaurant(servers: Servers) -> Callable[[int], str]:
    """The name of a template database that holds the TabSync profile with 300 orders."""
    made: set[int] = set()

    def of(major: int) -> str:
        if major not in made:
            from tabsync.profiles.tabsync.generate import generate
            from tabsync.profiles.tabsync.migrate import apply_schema

            server = servers(major)
            run_sql(server.conninfo(), "create database {}", "restaurant")
            with connect(server.conninfo("restaurant"), "tests", limits=_NO_LIMIT) as connection:
                apply_schema(connection)
                generate(connection, orders=300)
            made.add(major)
        return "restaurant"

    return of


@pytest.fixture
def tabsync_database(databases: Databases, restaurant: Callable[[int], str]) -> Callable[[int], str]:
    """A fresh TabSync database on a server of a major version."""

    def make(major: int = 17) -> str:
        return databases(major, template=restaurant(major))

    return make


@pytest.fixture(scope="session")
def audited_restaurant(servers: Servers, restaurant: Callable[[int], str]) -> Callable[[int], str]:
    """The name of a template database: the TabSync profile with 300 orders, and its audit log as the manual has it."""
    made: set[int] = set()

    def of(major: int) -> str:
        if major not in made:
            server = servers(major)
            run_sql(
                server.conninfo(), "create database {} template {} strategy file_copy", "audited", restaurant(major)
            )
            install_profile(server.conninfo("audited"))
            made.add(major)
        return "audited"

    return of


@pytest.fixture
def audited_database(databases: Databases, audited_restaurant: Callable[[int], str]) -> Callable[[int], str]:
    """A fresh TabSync database with its audit log."""

    def make(major: int = 17) -> str:
        return databases(major, template=audited_restaurant(major))

    return make


@pytest.fixture
def workspaces(directory: Path) -> Iterator[Callable[..., Workspace]]:
    """Workspaces on a database, with a home and a store of their own."""
    made: list[Workspace] = []

    def make(conninfo: str, manual: Path = PROFILE_MANUAL) -> Workspace:
        home = directory / "home"
        made.append(Workspace(home, conninfo, directory / "store", manual, f"sqlite:///{home / 'ledger.sqlite'}"))
        return made[-1]

    yield make
    for one in made:
        one.close()


def run_sql(conninfo: str, statement: str, *names: str) -> None:
    """Run one statement; {} are identifiers."""
    with connect(conninfo, "tests", limits=_NO_LIMIT) as connection:
        connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))
