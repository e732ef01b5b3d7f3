"""Servers of our own: for the demo, for tests and for every scratch restore.

A server lives in one claimed directory (see system/claims): data/, log, socket/ (elsewhere when the path is too long
for a socket), secret files. Whoever holds the claim owns the server; when the holder dies, the next command finds the
directory unclaimed and stops what is left.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import shutil
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from psycopg.conninfo import make_conninfo

from tabsync.kernel.errors import FailedPartway, Refused
from tabsync.postgres.conninfo import own_place
from tabsync.postgres.installation import Installation, embedded, installations
from tabsync.system.account import Account, server_account
from tabsync.system.processes import is_alive, wait_ended, working_in
from tabsync.system.programs import Finished, run_program

SUPERUSER = "postgres"

SCRATCH_SETTINGS: Mapping[str, str] = {
    # A scratch copy is thrown away after a crash, so nothing has to survive one.
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "autovacuum": "off",
    "checkpoint_timeout": "1h",
    "max_wal_size": "16GB",
    "listen_addresses": "",
    "max_locks_per_transaction": "1024",  # the copy is dumped again, and pg_dump locks each table: enough for 100,000
}

_SOCKET_PATH_LIMIT = 90  # sun_path holds 108 bytes on Linux and 104 on macOS; ".s.PGSQL.65535" takes 15


@dataclass(frozen=True, slots=True)
class Server:
    """A server's place. directory: its claimed directory; settings: postgresql.conf values it starts with."""

    directory: Path
    installation: Installation
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def data(self) -> Path:
        """The data directory."""
        return self.directory / "data"

    @property
    def log(self) -> Path:
        """Where the server writes its log."""
        return self.directory / "server.log"

    def conninfo(self, database: str = "postgres") -> str:
        """A connection string to a database of this server; the password stays in a file only we can read."""
        return own_place(
            host=str(_socket_directory(self.directory)),
            port=(self.directory / "port").read_text(),
            user=SUPERUSER,
            dbname=database,
            passfile=str(self.directory / "pgpass"),
        )

    def tcp_conninfo(self, database: str) -> str:
        """The same over loopback TCP, as an application would connect."""
        return make_conninfo(self.conninfo(database), host="127.0.0.1")


def create(
    directory: Path, *, settings: Mapping[str, str] | None = None, installation: Installation | None = None
) -> Server:
    """Make a new cluster in a directory that the caller has claimed; it is not started.

    SCRAM passwords, data checksums and UTF-8 from the start. settings: postgresql.conf values.
    Raises Refused when the account for servers can't reach the directory, FailedPartway when initdb fails.
    """
    server = Server(directory, installation or embedded(), dict(settings or {}))
    account = server_account()
    if not account.can_reach(directory.parent):
        raise Refused(
            f"the account {account.name!r} that the server runs under can't reach {directory.parent}",
            "set TABSYNC_HOME to a directory that every account may enter",
        )
    directory.mkdir(parents=True, exist_ok=True)
    directory.chmod(0o711 if os.geteuid() == 0 else 0o700)
    password = secrets.token_urlsafe(24)
    _write_private(directory / "pgpass", f"*:*:*:{SUPERUSER}:{password}\n")
    server.data.mkdir(mode=0o700)
    account.own(server.data)
    _initdb(server, account, password)
    return server


def start(server: Server, *, patience: int | None = None) -> None:
    """Start a server and wait until it answers; what a dead one left is no obstacle: its pid file, busy sessions.

    The caller holds the claim on its directory. patience: seconds after which a server that is still coming up is left
    to itself, since its start may take hours (a recovery); None: after two minutes that is an error.
    Raises FailedPartway with the line of the log that says why it doesn't start.
    """
    account = server_account()
    if postmaster(server.directory) is None:
        end_server(server.directory)
        # PostgreSQL believes a pid file whose number now belongs to any process of its account; the claim knows better.
        (server.data / "postmaster.pid").unlink(missing_ok=True)
        shutil.rmtree(_socket_directory(server.directory), ignore_errors=True)  # the socket's lock names a pid too
    for attempt in range(3):
        port = _free_port() if server.settings.get("listen_addresses") != "" else 5432
        (server.directory / "port").write_text(str(port))
        sockets = _socket_directory(server.directory)
        sockets.mkdir(parents=True, exist_ok=True, mode=0o711)
        account.own(sockets)
        server.log.touch()
        account.own(server.log)
        options = (f"--log={server.log}", f"--options={_options(server, sockets, port)}")
        done = _pg_ctl(server, account, "start", *options, timeout=120 if patience is None else patience)
        if done.code == 0 or (patience is not None and postmaster(server.directory) is not None):
            return
        complaint = _last_complaint(server.log)
        if "could not" not in complaint or attempt == 2:  # "could not create any TCP/IP sockets": the port was taken
            raise FailedPartway(
                f"the PostgreSQL server in {server.directory} did not start: {complaint}", f"read {server.log}"
            )


def stop(server: Server, mode: str = "fast") -> None:
    """Stop a server; mode: "fast" ends sessions in order, "immediate" drops everything. No-op when it isn't running."""
    if postmaster(server.directory) is not None:
        _pg_ctl(server, server_account(), "stop", f"--mode={mode}")
    end_server(server.directory)


def destroy(server: Server) -> None:
    """Stop a server at once and delete its directory."""
    end_server(server.directory)
    shutil.rmtree(server.directory, ignore_errors=True)


def opened(directory: Path, *, settings: Mapping[str, str] | None = None) -> Server:
    """The server that was created in a directory earlier, with the programs of its own major version.

    Raises Refused when there is none, or no installed PostgreSQL is of its version.
    """
    try:
        major = int((directory / "data" / "PG_VERSION").read_text())
    except (OSError, ValueError):
        raise Refused(
            f"{directory} does not contain a PostgreSQL cluster", "to create it again: tabsync demo --reset"
        ) from None
    for installation in installations():
        if installation.major == major and installation.has_server:
            return Server(directory, installation, dict(settings or {}))
    raise Refused(f"{directory} needs PostgreSQL {major}, which isn't installed", f"install postgresql-{major}")


def postmaster(directory: Path) -> psutil.Process | None:
    """The running postmaster of a server directory, or None; a pid file that lies is seen through."""
    try:
        lines = (directory / "data" / "postmaster.pid").read_text().splitlines()
        process = psutil.Process(int(lines[0]))
        # The pid may have been given to another process since: a postmaster works in its data directory.
        ours = is_alive(process) and Path(process.cwd()) == (directory / "data").resolve()
    except (OSError, ValueError, IndexError, psutil.Error):
        return None
    return process if ours else None


def end_server(directory: Path) -> bool:
    """End whatever server still runs in a directory (SIGQUIT, then SIGKILL) and take its socket directory away.

    Returns whether one was running, or a part of one that outlived its postmaster.
    """
    process = postmaster(directory)
    family = list(working_in((directory / "data").resolve()))
    if process is not None:
        with contextlib.suppress(psutil.Error):
            process.send_signal(3)  # SIGQUIT: immediate shutdown, the children leave with it
    for one in wait_ended(family, timeout=15 if process is not None else 0):
        with contextlib.suppress(psutil.Error):
            one.kill()
    wait_ended(family, timeout=10)
    sockets = _socket_directory(directory)
    if sockets.parent != directory:
        shutil.rmtree(sockets, ignore_errors=True)
    return bool(family)


def _pg_ctl(server: Server, account: Account, verb: str, *options: str, timeout: int = 120) -> Finished:
    program = server.installation.server_bindir(account) / "pg_ctl"
    argv: list[str | Path] = [program, verb, "--wait", f"--timeout={timeout}", f"--pgdata={server.data}", *options]
    return run_program(argv, account=account, claim=server.directory, timeout=180)


def _initdb(server: Server, account: Account, password: str) -> None:
    # The password goes through a file that the server's account can read, deleted right after.
    pwfile = server.directory / "pwfile"
    _write_private(pwfile, password)
    account.own(pwfile)
    try:
        argv: list[str | Path] = [
            server.installation.server_bindir(account) / "initdb",
            f"--pgdata={server.data}",
            f"--username={SUPERUSER}",
            f"--pwfile={pwfile}",
            "--auth=scram-sha-256",
            "--data-checksums",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
            "--no-sync",
        ]
        done = run_program(argv, account=account, claim=server.directory, timeout=120)
    finally:
        pwfile.unlink()
    if done.code != 0:
        hint = "install the package tzdata" if "time zone" in done.complaint() else f"check the disk of {server.data}"
        raise FailedPartway(f"initdb failed: {done.complaint()}", hint)


def _options(server: Server, sockets: Path, port: int) -> str:
    settings = {
        "listen_addresses": "127.0.0.1",
        "port": str(port),
        "unix_socket_directories": str(sockets),
        "unix_socket_permissions": "0777",  # SCRAM guards it: when we are root, the server is another account
        **server.settings,
    }
    # pg_ctl hands the options to a shell, so each value is quoted for it.
    return " ".join(f"-c {name}={_shell_quoted(value)}" for name, value in settings.items())


def _shell_quoted(value: str) -> str:
    return "'" + value.replace("'", "'\\''") + "'"


def _socket_directory(directory: Path) -> Path:
    inside = directory.resolve() / "socket"
    if len(str(inside)) <= _SOCKET_PATH_LIMIT:
        return inside
    digest = hashlib.sha256(str(directory.resolve()).encode()).hexdigest()[:16]
    return Path("/tmp") / f"tabsync-{digest}"  # noqa: S108 - the name is ours and SCRAM guards the socket


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _write_private(path: Path, text: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(fd, "w") as file:
        file.write(text)


def _last_complaint(log: Path) -> str:
    deadline = time.monotonic() + 1
    while time.monotonic() < deadline:
        lines = log.read_text(errors="replace").splitlines() if log.exists() else []
        bad = [line for line in lines if "FATAL" in line or "ERROR" in line or "could not" in line]
        if bad:
            return bad[-1].split("FATAL:")[-1].strip()
        time.sleep(0.1)
    return "no reason in its log"
