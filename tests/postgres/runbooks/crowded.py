"""A server on which few can connect: an application takes its connections, and tabsync is no superuser."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psycopg
from psycopg.conninfo import make_conninfo

from tabsync.kernel.errors import TabsyncError
from tabsync.postgres import embedded
from tabsync.sessions.emergency import call
from tests.conftest import run_sql
from tests.postgres.runbooks.place import Place, killed
from tests.servers import running_server

Session = psycopg.Connection[tuple[object, ...]]


@contextmanager
def small_server(name: str, connections: int = 12) -> Iterator[embedded.Server]:
    """A server with few connections, with the role of an application and that of tabsync."""
    with running_server(name, max_connections=str(connections), superuser_reserved_connections="3") as found:
        for role in ("application", "operator"):
            run_sql(found.conninfo(), "create role {} login", role)
        run_sql(found.conninfo(), "grant pg_monitor, pg_signal_backend to operator")
        hba = found.data / "pg_hba.conf"
        hba.write_text(f"local all application,operator trust\n{hba.read_text()}")
        run_sql(found.conninfo(), "select pg_reload_conf()")
        yield found


@contextmanager
def taken(server: embedded.Server, left: int) -> Iterator[list[Session]]:
    """Sessions that idle, on all connections but some; at the end they are gone, whoever ended them."""
    opened: list[Session] = []
    try:
        with suppress(psycopg.OperationalError):
            while True:
                opened.append(psycopg.connect(make_conninfo(server.conninfo(), user="application")))
        for _ in range(left):
            opened.pop().close()
        yield opened
    finally:
        for one in opened:
            one.close()


@contextmanager
def collecting(ground: Place) -> Iterator[subprocess.Popen[bytes]]:
    """What keeps a session for when no connection is left."""
    process = ground.start("collector", "run")
    try:
        ground.waits(lambda: _keeps_a_session(ground))
        yield process
    finally:
        killed(process)


def refused(conninfo: str) -> bool:
    """Whether the server takes no more sessions."""
    try:
        psycopg.connect(conninfo).close()
    except psycopg.OperationalError:
        return True
    return False


def _keeps_a_session(ground: Place) -> bool:
    """Whether the service has its session: its socket is there before that."""
    try:
        asked = call(ground.workspace())
    except OSError:
        return False
    try:
        return bool(asked.hello())
    except TabsyncError:
        return False
    finally:
        asked.close()
