"""A server with TabSync's schema, and one with nothing in it, for what is measured and for what may only read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from tabsync.postgres import embedded
from tabsync.profiles.tabsync.migrate import apply_schema
from tests.audited import install_profile
from tests.servers import running_server


@pytest.fixture(scope="session")
def monitoring_server() -> Iterator[embedded.Server]:
    """A running server that nothing else uses."""
    with running_server("monitoring", shared_buffers="16MB") as server:
        yield server


@pytest.fixture(scope="session")
def monitoring_conninfo(monitoring_server: embedded.Server) -> str:
    """A database with TabSync's schema, its audit log, and no rows."""
    with psycopg.connect(monitoring_server.conninfo(), autocommit=True) as conn:
        conn.execute("create database measured")
    conninfo = monitoring_server.conninfo("measured")
    with psycopg.connect(conninfo, autocommit=True) as conn:
        apply_schema(conn)
    install_profile(conninfo)
    return conninfo


@pytest.fixture
def connection(monitoring_conninfo: str) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    """A session of the superuser: what it isn't kept from, nobody is."""
    with psycopg.connect(monitoring_conninfo, autocommit=True) as conn:
        yield conn


@pytest.fixture(scope="session")
def monitoring_tcp() -> Iterator[embedded.Server]:
    """A server that listens on TCP and has few sessions to give."""
    more = {"listen_addresses": "127.0.0.1", "max_connections": "8", "superuser_reserved_connections": "0"}
    with running_server("monitoring-tcp", shared_buffers="16MB", **more) as server:
        yield server
