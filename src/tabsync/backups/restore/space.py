"""Room for a restore, where it can be known: on this machine. Of another one PostgreSQL does not tell it."""

from __future__ import annotations

import shutil
from pathlib import Path

import psycopg

from tabsync.kernel.errors import Refused
from tabsync.kernel.units import human_bytes
from tabsync.postgres.connect import Connection

_HERE = ("127.0.0.1", "::1", "localhost", "")


def free_on_server(connection: Connection) -> int | None:
    """Bytes free where the server keeps its data; None when it can't be known from here.

    A port on this machine may lead to another one: that the directory holds this server's own pid file, with this
    port in it, tells.
    """
    host = connection.info.host
    if not (host.startswith("/") or host in _HERE):
        return None
    try:
        row = connection.execute("select current_setting('data_directory'), current_setting('port')").fetchone()
        data, port = Path(str(row[0] if row else "")), str(row[1] if row else "")
        if (data / "postmaster.pid").read_text().splitlines()[3] != port:
            return None
        return shutil.disk_usage(data).free
    except (psycopg.errors.InsufficientPrivilege, OSError, IndexError):
        return None


def check_space(connection: Connection, needed: int, what: str) -> int | None:
    """Refuse when the server's disk has less room than is needed; gives what it has, None when that isn't known."""
    free = free_on_server(connection)
    if free is not None and free < needed:
        raise Refused(
            f"{what} needs about {human_bytes(needed)} and the server's disk has {human_bytes(free)} free",
            "free some space there",
        )
    return free
