"""Where a game day takes place: a server of its own or a copy, the collector that watches it, and who is told."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from tabsync.demo import database
from tabsync.demo.mark import prove
from tabsync.demo.place import DATABASE, MANUAL, PROFILE, Place
from tabsync.gamedays.answers import Answer, go_through
from tabsync.gamedays.watched import Told, collecting, receiver
from tabsync.kernel.errors import Refused
from tabsync.kernel.gameday import Played
from tabsync.postgres import embedded
from tabsync.postgres.connect import connect
from tabsync.system.account import reachable_place
from tabsync.system.claims import claim
from tabsync.workspace import Workspace, find

Session = psycopg.Connection[tuple[object, ...]]
ORDERS = 500
OPERATOR = "tabsync_operator"
"""The role as which tabsync looks and acts here: no superuser, and no slot is reserved for it."""

_CHANNEL = "mail"
"""By which the profile's contacts are told; here it is a webhook."""


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

    def password(self, user: str) -> str:
        """That of a role of its own server."""
        lines = (self.own().directory / "pgpass").read_text(encoding="utf-8").splitlines()
        return next(one for one in lines if f":{user}:" in one).rpartition(":")[2]

    def program(self, *words: str) -> list[str]:
        """A command of ours, with this ground's configuration."""
        at = words.index("--") if "--" in words else len(words)
        return [sys.executable, "-m", "tabsync", *words[:at], "--config", str(self.config), *words[at:]]

    def command(
        self, *words: str, seconds: float = 600, environment: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command as a person would, in a process of its own. environment: what it has besides."""
        return subprocess.run(
            self.program(*words),
            capture_output=True,
            text=True,
            timeout=seconds,
            stdin=subprocess.DEVNULL,
            cwd=self.config.parent,
            env=os.environ | dict(environment or {}),
            check=False,
        )

    def go_through(
        self, played: Played, runbook: str, values: Mapping[str, str], answers: Mapping[str, Answer]
    ) -> None:
        """Go through a runbook to its end; see answers.go_through."""
        go_through(self, played, runbook, values, answers)


@contextmanager
def ground(
    place: Path, manual: Callable[[str], str], say: Callable[[str], None], *, pooled: bool = False, watched: bool = True
) -> Iterator[Ground]:
    """Bring up a ground that is deleted at the end of the block.

    place: a directory; manual: changes the profile's; pooled: its configuration names a pooler's console; watched: the
    collector runs, and somebody is told; without it tabsync acts as the owner of the server.
    """
    home = place / secrets.token_hex(4)
    where = Place(home, reachable_place(home / "servers") / "gameday")
    home.mkdir(parents=True, mode=0o711)
    where.server.parent.mkdir(exist_ok=True, mode=0o711)  # one under /var/tmp is there already
    held = claim(where.server)
    assert held is not None  # noqa: S101 - its name is random
    try:
        say("Starting a server of its own, with the profile's schema")
        where.manual.write_text(manual(MANUAL.read_text(encoding="utf-8")), encoding="utf-8")
        server = database.bring_up(where, ORDERS, lambda *_: None)
        with _watched(where, server, say, pooled=pooled) if watched else _alone(where, server) as found:
            yield found
            found.workspace.close()
    finally:
        embedded.end_server(where.server)
        held.remove()
        with suppress(OSError):
            where.server.parent.rmdir()
        shutil.rmtree(home, ignore_errors=True)


@contextmanager
def _watched(where: Place, server: embedded.Server, say: Callable[[str], None], *, pooled: bool) -> Iterator[Ground]:
    with receiver() as (told, port):
        _operator(server)
        pooler = free_port() if pooled else 0
        config = _config(where, make_conninfo(server.tcp_conninfo(DATABASE), user=OPERATOR), port, pooler)
        workspace = find(config)
        say("Starting the collector and the notifier")
        with collecting(config, workspace):
            yield Ground(server, workspace, config, told, pooler)


@contextmanager
def _alone(where: Place, server: embedded.Server) -> Iterator[Ground]:
    config = _config(where, server.tcp_conninfo(DATABASE), 0, 0)
    yield Ground(server, find(config), config, Told())


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
            where.manual.write_text(manual(MANUAL.read_text(encoding="utf-8")), encoding="utf-8")
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
        f'profile = "{PROFILE}"',
    ]
    if port:
        lines += ["[notify]", f'{_CHANNEL} = "json://127.0.0.1:{port}/"']
    if pooler:
        lines += ["[pgbouncer]", f"url = {json.dumps(console_at(pooler))}"]
    place.config.write_text("\n".join(lines) + "\n", encoding="utf-8")
    place.config.chmod(0o600)
    return place.config
