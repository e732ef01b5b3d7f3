"""Gathers what connections diagnose judges by: everything at once, and nothing is waited for longer than it may.

Whatever does not answer in time is evidence too.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

from tabsync.kernel.errors import CannotConnect, TabsyncError
from tabsync.kernel.step import Facts
from tabsync.postgres.conninfo import libpq_environment
from tabsync.postgres.probe import no_answer
from tabsync.providers.disk import disk_at
from tabsync.providers.pgbouncer import look
from tabsync.sessions.found import Evidence, Here, Limit, Network, Pool, Pooler, Room, is_stuck
from tabsync.sessions.last_answer import last_answer, remember
from tabsync.sessions.locks import root_of
from tabsync.sessions.presets import read_only
from tabsync.sessions.way_in import Way, here

if TYPE_CHECKING:
    from tabsync.workspace import Workspace

Opening = Callable[["Workspace", str], AbstractContextManager[Way]]
T = TypeVar("T")

SECONDS = 8.0
"""For all of it together: whoever asks waits for less than 10 s."""

_KNOCK = 3.0  # seconds for the network alone
_SETTLED = 2.0  # seconds after which a session that isn't there yet waits in the pooler's queue, if there is one
_HOPE = 1.0  # seconds for a session to an address that does not even answer
_AGAIN = 1.2  # seconds after which clients that waited for a moment only don't wait any more
_PATTERNS = ("/var/lib/postgresql/*/*/postmaster.pid", "/var/lib/pgsql/*/data/postmaster.pid")
_LOCAL = ("localhost", "127.0.0.1", "::1", "")


class _Task(Generic[T]):
    """Something that is found out meanwhile. It is left behind when it takes too long."""

    def __init__(self, work: Callable[[], T]) -> None:
        self.found: list[T] = []
        self.error: Exception | None = None
        self._work = work
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.found.append(self._work())
        except Exception as error:  # noqa: BLE001 - whatever it is, it is evidence
            self.error = error

    def done(self, until: float) -> bool:
        """Wait until then; whether it has ended."""
        self._thread.join(max(0.0, until - time.monotonic()))
        return not self._thread.is_alive()


def gather(workspace: Workspace, said: tuple[str, ...], opening: Opening, text: str = "") -> Evidence:
    """What can be found out within SECONDS. said: causes that a message, text, points to; opening: how one gets in."""
    until = time.monotonic() + SECONDS
    host, port = address(workspace.conninfo)
    network = _Task(lambda: _network(workspace.conninfo, host))
    console = _console(workspace, until)
    through_it = bool(workspace.pgbouncer) and address(workspace.pgbouncer) == (host, port)
    session = (
        None if through_it and console and console.stuck else _Task(lambda: _asked(workspace, opening))
    )  # it would only stand in the same queue
    reached, told = network.found[0] if network.done(until) and network.found else ("unknown", "")
    if reached not in ("answers", "unknown"):
        until = min(until, time.monotonic() + _HOPE)
    if session and console and not session.done(time.monotonic() + _SETTLED):
        console = _console(workspace, until)  # now it may be we who wait
        until = time.monotonic() if through_it and console and console.stuck else until
    found = session.found[0] if session and session.done(until) and session.found else None
    refusal = _why(session.error) if session else ""
    room, through, refusal, free = found or (None, "", refusal, None)
    last = last_answer(workspace)
    near = () if room else _here(host, last.directory if last else "")
    if room is None and free is None:
        free = _free(last.directory) if last and last.directory and last.host == host else None
    return Evidence(host, port, reached, told, refusal, through, room, console, last, near, free, said, text)


def address(conninfo: str) -> tuple[str, str]:
    """The first host of a connection string, and its port."""
    env = libpq_environment(conninfo)
    host = (env.get("PGHOST") or env.get("PGHOSTADDR") or "localhost").split(",")[0]
    return host, env.get("PGPORT", "5432").split(",")[0] or "5432"


def _why(error: Exception | None) -> str:
    if error is None:
        return f"no answer within {SECONDS:.0f} s"
    return error.fact if isinstance(error, TabsyncError) else str(error)


def _network(conninfo: str, host: str) -> tuple[Network, str]:
    """How the address answers, before any login."""
    if not host.startswith("/"):
        try:
            socket.getaddrinfo(host, None)
        except OSError as error:
            return "no name", f"{host}: {error.strerror or error}"
    told = no_answer(conninfo, _KNOCK)
    if not told:
        return "answers", ""
    refused = ("refused", "no such file", "ended the connection")
    if "ended the connection" in told:
        return "answers", told
    return ("refused" if any(one in told.lower() for one in refused) else "silent"), told


def _asked(workspace: Workspace, opening: Opening) -> tuple[Room, str, str, int | None]:
    """What the server says, through what it was asked, why not directly, and what is free on its disk."""
    with opening(workspace, "diagnose") as way:
        found, row = here(way), way.one("room")
        limits = tuple(Limit(**one) for one in way.rows("limits"))
        files = way.rows("read_only_in_files") if row["may_read_files"] else []
        presets = read_only(way.rows("read_only"), files)
        root = root_of(way) if is_stuck(row["waiting"], row["active"]) else None
    refusal = _refused_directly(workspace) if way.told else ""
    free = _disk(row)
    if not way.told:
        note_answer(workspace, row)
    room = Room(
        found["used"],
        found["slots"],
        row["active"],
        row["idle"],
        row["in_transaction"],
        row["waiting"],
        row["untracked"],
        found["role"] == "standby",
        presets,
        row["may_read_files"],
        found["sees_all"],
        limits,
        root,
    )
    return room, way.told, refusal, free


def note_answer(workspace: Workspace, row: Facts) -> None:
    """Note where the database answers now, and where its data are if they are on this machine. row: of `room`."""
    host, port = address(workspace.conninfo)
    remember(workspace, host, port, str(row["directory"] or "") if _disk(row) is not None else "")


def _refused_directly(workspace: Workspace) -> str:
    """Why the ordinary way is closed, in the server's words."""
    try:
        workspace.connect("diagnose").close()
    except CannotConnect as error:
        return error.fact
    return ""


def _disk(row: Facts) -> int | None:
    """Bytes that are free on the disk of the data; None when it is not on this machine."""
    with suppress(TabsyncError, TypeError, ValueError):
        found = disk_at(row["pid"], datetime.fromisoformat(row["backend_start"]), row["directory"])
        return found.size - found.used
    return None


def _free(directory: str) -> int | None:
    try:
        found = os.statvfs(directory)
    except OSError:
        return None
    return found.f_bavail * found.f_frsize


def _console(workspace: Workspace, until: float) -> Pooler | None:
    """What the pooler's console says; None where there is none."""
    if not workspace.pgbouncer:
        return None
    asking = _Task(lambda: _pooler(workspace.pgbouncer))
    asking.done(min(until, time.monotonic() + _KNOCK))
    return asking.found[0] if asking.found else Pooler(error=_why(asking.error))


def _pooler(conninfo: str) -> Pooler:
    try:
        found = look(conninfo)
        if any(one.waiting and one.seconds < 1 for one in found.pools):
            time.sleep(_AGAIN)
            found = look(conninfo)
    except CannotConnect as error:
        return Pooler(error=error.fact)
    pools = tuple(Pool(one.pool, one.waiting, one.active, one.servers, one.seconds) for one in found.pools)
    return Pooler(pools, found.clients, found.most)


def _here(host: str, directory: str) -> tuple[Here, ...]:
    """Data directories on this machine, where the server may be one of them."""
    if not (host.startswith("/") or host in _LOCAL):
        return ()
    named = [one for one in (os.environ.get("PGDATA", ""), directory) if one]
    found = {one: _postmaster(Path(one) / "postmaster.pid") for one in named if Path(one).is_dir()}
    for pattern in _PATTERNS:
        with suppress(OSError):
            found |= {str(path.parent): _postmaster(path) for path in Path("/").glob(pattern.lstrip("/"))}
    return tuple(found.values())


def _postmaster(path: Path) -> Here:
    """What postmaster.pid says: https://www.postgresql.org/docs/current/storage-file-layout.html"""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        pid, port = int(lines[0]), lines[3].strip()
    except (OSError, ValueError, IndexError):
        return Here(str(path.parent))
    return Here(str(path.parent), port, Path(f"/proc/{pid}").exists() if Path("/proc").exists() else True)
