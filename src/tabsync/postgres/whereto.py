"""Where a connection string leads to, whatever its spelling: with libpq's defaults, variables and service files."""

from __future__ import annotations

import socket
from contextlib import suppress
from dataclasses import dataclass
from itertools import zip_longest

from psycopg import pq
from psycopg.conninfo import make_conninfo

from tabsync.postgres.connect import Connection

_NOWHERE = "none"  # no value of target_session_attrs: libpq fills in all parameters, and then does not connect


@dataclass(frozen=True, slots=True)
class Whereto:
    """A database, and where it may be: "host:port" by each name and address; a directory where it is a socket."""

    database: str
    at: tuple[str, ...]

    def is_same(self, other: Whereto) -> bool:
        """Whether both lead to one database. Two names of one server that share no address count as two."""
        return self.database == other.database and not set(self.at).isdisjoint(other.at)

    @property
    def told(self) -> str:
        """In words."""
        return f"{self.database} on {self.at[0] if self.at else 'no server'}"


def whereto(conninfo: str) -> Whereto:
    """Where a connection string leads to. Nothing is connected; names are translated to addresses."""
    parsed = pq.PGconn.connect_start(make_conninfo(conninfo, target_session_attrs=_NOWHERE).encode())
    try:
        given = {one.keyword.decode(): (one.val or b"").decode() for one in parsed.info}
        first = parsed.host.decode()  # the directory of the socket, where no host is named
    finally:
        parsed.finish()
    names, addresses = (given.get("host") or first).split(","), given.get("hostaddr", "").split(",")
    ports = given["port"].split(",")
    ports = ports * len(names) if len(ports) == 1 else ports
    at: list[str] = []
    for name, address, port in zip_longest(names, addresses, ports, fillvalue=""):
        at += [f"{one}:{port or 5432}" for one in (name, *([address] if address else _addresses(name))) if one]
    return Whereto(given["dbname"], tuple(dict.fromkeys(at)))


def whereto_of(connection: Connection) -> Whereto:
    """Where a session is."""
    info = connection.info
    return Whereto(info.dbname, tuple(f"{one}:{info.port}" for one in (info.host, info.hostaddr) if one))


def _addresses(name: str) -> list[str]:
    if not name or name.startswith(("/", "@")):
        return []
    with suppress(OSError):
        return [str(found[4][0]) for found in socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)]
    return []
