"""Whether a server answers at all, found out within a second: a page that is opened in trouble can't wait for it.

It asks for TLS, as the first thing that a client may say, to which every server says yes or no at once; so does a
pooler. https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-SSL
"""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from tabsync.postgres.conninfo import libpq_environment

_ASK_FOR_TLS = struct.pack("!ii", 8, 80877103)
_SOCKETS = ("/var/run/postgresql", "/tmp")  # noqa: S108 - where libpq looks too


def no_answer(conninfo: str, seconds: float) -> str:
    """Why nobody answers there, "" when somebody does, or when that can't be told from here.

    seconds: how long to wait, for all hosts together and for their names.
    """
    found: list[str] = []
    thread = threading.Thread(target=lambda: found.append(_asked(conninfo, seconds)), daemon=True)
    thread.start()
    thread.join(seconds)  # a name that can't be looked up has no time-out of its own
    return found[0] if found else f"no answer within {seconds:.0f} s"


def _asked(conninfo: str, seconds: float) -> str:
    until, fact = time.monotonic() + seconds, ""
    for host, port in _places(conninfo):
        try:
            with _connected(host, port, until) as connection:
                connection.settimeout(max(0.05, until - time.monotonic()))
                connection.sendall(_ASK_FOR_TLS)
                if connection.recv(1):
                    return ""
                fact = f"{host}:{port} ended the connection"
        except TimeoutError:
            fact = f"no answer from {host}:{port} within {seconds:.0f} s"
        except OSError as error:
            fact = f"{host}:{port}: {error.strerror or error}"
    return fact


def _connected(host: str, port: int, until: float) -> socket.socket:
    left = max(0.05, until - time.monotonic())
    if not host.startswith("/"):
        return socket.create_connection((host, port), left)
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.settimeout(left)
        connection.connect(str(Path(host) / f".s.PGSQL.{port}"))
    except BaseException:
        connection.close()
        raise
    return connection


def _places(conninfo: str) -> Iterator[tuple[str, int]]:
    """The hosts of a connection string with their ports; none where a service file names them."""
    env = libpq_environment(conninfo)
    if "PGSERVICE" in env:
        return
    hosts = (env.get("PGHOSTADDR") or env.get("PGHOST") or "").split(",")
    ports = env.get("PGPORT", "5432").split(",")
    for number, host in enumerate(hosts):
        port = ports[number] if len(ports) == len(hosts) else ports[0]
        if not port.isdecimal() or host.startswith("@"):
            return  # what this does not know, libpq may
        if host:
            yield host, int(port)
        elif found := next((one for one in _SOCKETS if (Path(one) / f".s.PGSQL.{port}").exists()), None):
            yield found, int(port)
