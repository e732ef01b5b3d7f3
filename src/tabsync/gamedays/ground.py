"""Where a game day takes place: a server of its own or a copy, the collector that watches it, and who is told."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from tabsync.demo import database
from tabsync.demo.mark import prove
from tabsync.demo.place import DATABASE, Place
from tabsync.kernel.errors import FailedPartway, Refused, TabsyncError
from tabsync.monitoring.alerts.watch import last_scrape
from tabsync.postgres import embedded
from tabsync.postgres.connect import connect
from tabsync.system.account import reachable_place
from tabsync.system.claims import claim
from tabsync.system.parent import PARENT
from tabsync.workspace import PROFILE_MANUAL, Workspace, find

Session = psycopg.Connection[tuple[object, ...]]
ORDERS = 500
OPERATOR = "tabsync_operator"
"""The role as which tabsync looks and acts here: no superuser, and no slot is reserved for it."""

_CHANNEL = "mail"
"""By which the profile's contacts are told; here it is a webhook."""

_PATIENCE = 60.0  # seconds for a process of ours to begin, or to end


@dataclass(slots=True)
class Told:
    """One who is told: a webhook on loopback. messages: when each came (monotonic), and what it said."""

    messages: list[tuple[float, str]] = field(default_factory=list)
    _came: threading.Condition = field(default_factory=threading.Condition)

    def first(self, about: str, seconds: float) -> tuple[float, str] | None:
        """The first message with some words in it; None when none came in time."""
        until = time.monotonic() + seconds
        with self._came:
            while True:
                found = next((one for one in self.messages if about in one[1]), None)
                if found or time.monotonic() >= until:
                    return found
                self._came.wait(until - time.monotonic())

    def take(self, text: str) -> None:
        """A message came."""
        with self._came:
            self.messages.append((time.monotonic(), text))
            self._came.notify_all()


@dataclass(frozen=True, slots=True)
class Ground:
    """A game day's ground. workspace: what tabsync looks after, as its role.

    server: its PostgreSQL, of its own; copy: instead of one, the connection string of a database that carries the mark.
    """

    server: embedded.Server | None
    workspace: Workspace
    config: Path
    told: Told
    port: int = 0
    """Where its pooler will listen; 0: it has none."""

    copy: str = ""

    def own(self) -> embedded.Server:
        """Its own server. Raises Refused when it is on a copy, whose server is somebody else's."""
        if self.server is None:
            raise Refused("this is on a copy, and needs a server of its own", "tabsync gameday run NAME")
        return self.server

    def application(self) -> str:
        """A connection string of the application."""
        return self.copy or database.application_conninfo(self.own())

    def superuser(self) -> str:
        """A connection string of whoever brings the condition about; on a copy, of whoever was named."""
        return self.copy or self.own().conninfo(DATABASE)

    def enter(self, name: str = "") -> Session:
        """A session of the application; on a copy it proves the mark before it does anything. Raises as prove()."""
        opened: Session = psycopg.connect(self.application(), autocommit=True, application_name=name or None)
        if self.copy:
            try:
                prove(opened)
            except BaseException:
                opened.close()
                raise
        opened.autocommit = False
        return opened

    def command(self, *words: str, seconds: float = 600) -> subprocess.CompletedProcess[str]:
        """Run a command as a person would, in a process of its own."""
        program = [sys.executable, "-m", "tabsync", *words, "--config", str(self.config)]
        return subprocess.run(
            program, capture_output=True, text=True, timeout=seconds, stdin=subprocess.DEVNULL, check=False
        )


@contextmanager
def ground(
    place: Path, manual: Callable[[str], str], say: Callable[[str], None], *, pooled: bool = False
) -> Iterator[Ground]:
    """Bring up a ground that is deleted at the end of the block.

    place: a directory; manual: changes the profile's; pooled: its configuration names a pooler's console.
    """
    home = place / secrets.token_hex(4)
    where = Place(home, reachable_place(home / "servers") / "gameday")
    home.mkdir(parents=True, mode=0o711)
    where.server.parent.mkdir(exist_ok=True, mode=0o711)  # one under /var/tmp is there already
    held = claim(where.server)
    assert held is not None  # noqa: S101 - its name is random
    try:
        with receiver() as (told, port):
            say("Starting a server of its own, with the profile's schema")
            where.manual.write_text(manual(PROFILE_MANUAL.read_text(encoding="utf-8")), encoding="utf-8")
            server = database.bring_up(where, ORDERS, lambda *_: None)
            _operator(server)
            pooler = free_port() if pooled else 0
            config = _config(where, make_conninfo(server.tcp_conninfo(DATABASE), user=OPERATOR), port, pooler)
            workspace = find(config)
            say("Starting the collector and the notifier")
            with collecting(config, workspace):
                yield Ground(server, workspace, config, told, pooler)
            workspace.close()
    finally:
        embedded.end_server(where.server)
        held.remove()
        with suppress(OSError):
            where.server.parent.rmdir()
        shutil.rmtree(home, ignore_errors=True)


@contextmanager
def copy_ground(
    place: Path, manual: Callable[[str], str], say: Callable[[str], None], conninfo: str
) -> Iterator[Ground]:
    """A ground on a copy: the same around it, and a server that is left as it is. Raises as prove().

    conninfo: of a database that carries the mark of game days.
    """
    whole = proven(conninfo)
    where = Place(place / secrets.token_hex(4), place)
    where.home.mkdir(parents=True, mode=0o700)
    try:
        with receiver() as (told, port):
            where.manual.write_text(manual(PROFILE_MANUAL.read_text(encoding="utf-8")), encoding="utf-8")
            config = _config(where, whole, port, 0)
            workspace = find(config)
            say("Starting the collector and the notifier")
            with collecting(config, workspace):
                yield Ground(None, workspace, config, told, copy=whole)
            workspace.close()
    finally:
        shutil.rmtree(where.home, ignore_errors=True)


def proven(conninfo: str) -> str:
    """The connection string, after its server has been proven to be marked. Raises as prove()."""
    with connect(conninfo, "gameday") as connection:
        prove(connection)
    return conninfo


@contextmanager
def receiver() -> Iterator[tuple[Told, int]]:
    """A webhook on loopback, for as long as the block runs."""
    told = Told()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.take(self.rfile.read(int(self.headers["content-length"])).decode(errors="replace"))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Nothing is logged."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield told, server.server_port
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def collecting(config: Path, workspace: Workspace) -> Iterator[None]:
    """The collector and the notifier, as a process of their own, from their first measurement on."""
    program = [sys.executable, "-m", "tabsync", "collector", "run", "--tell", "--config", str(config)]
    environment = os.environ | {PARENT: str(os.getpid())}  # it ends with us, however we end
    process = subprocess.Popen(
        program, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment
    )
    try:
        until = time.monotonic() + _PATIENCE
        while not _has_measured(workspace):
            if process.poll() is not None or time.monotonic() > until:
                raise FailedPartway(
                    "the collector did not begin to measure", f"tabsync collector run --config {config}"
                )
            time.sleep(0.1)
        yield
    finally:
        process.terminate()
        try:
            process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _has_measured(workspace: Workspace) -> bool:
    with suppress(TabsyncError):  # the file of the history is only just being made
        return last_scrape(workspace) is not None
    return False


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def console_at(port: int) -> str:
    """The connection string of a pooler's console, as tabsync uses it."""
    return make_conninfo("", host="127.0.0.1", port=port, user=OPERATOR, dbname="pgbouncer")


def _operator(server: embedded.Server) -> None:
    """The role that tabsync uses, with a password in the server's passfile."""
    password = secrets.token_urlsafe(24)
    role = sql.Identifier(OPERATOR)
    with connect(server.conninfo(DATABASE), "gameday") as connection:
        verifier = connection.pgconn.encrypt_password(password.encode(), OPERATOR.encode(), b"scram-sha-256").decode()
        connection.execute(sql.SQL("create role {} login password {}").format(role, verifier))
        connection.execute(sql.SQL("grant pg_monitor, pg_signal_backend, pg_read_all_data to {}").format(role))
    pgpass = server.directory / "pgpass"
    pgpass.write_text(f"{pgpass.read_text()}*:*:*:{OPERATOR}:{password}\n")


def _config(place: Place, conninfo: str, port: int, pooler: int) -> Path:
    lines = [
        "# A game day's own: deleted when it ends.",
        'name = "gameday"',
        f"database = {json.dumps(conninfo)}",
        f"home = {json.dumps(str(place.home))}",
        'manual = "manual.md"',
        "[notify]",
        f'{_CHANNEL} = "json://127.0.0.1:{port}/"',
    ]
    if pooler:
        lines += ["[pgbouncer]", f"url = {json.dumps(console_at(pooler))}"]
    place.config.write_text("\n".join(lines) + "\n", encoding="utf-8")
    place.config.chmod(0o600)
    return place.config
