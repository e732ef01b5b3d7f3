"""A real PgBouncer in front of a game day's server, with a pool that is soon full."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tabsync.gamedays.ground import OPERATOR, Ground
from tabsync.kernel.errors import FailedPartway
from tabsync.system.account import server_account

POOL = 3
"""Connections that its pool has to the server."""

_PATIENCE = 20.0  # seconds for it to begin


def program() -> str:
    """Where PgBouncer is; "" when it isn't installed."""
    return shutil.which("pgbouncer", path="/usr/local/bin:/usr/bin:/usr/sbin:/opt/homebrew/bin") or ""


@contextmanager
def pooling(ground: Ground) -> Iterator[str]:
    """The pooler of a ground, for as long as the block runs; gives the application's connection string through it."""
    directory = ground.own().directory.parent / "pooler"
    directory.mkdir(mode=0o700)
    account = server_account()
    account.own(directory)
    configuration = directory / "pgbouncer.ini"
    configuration.write_text(_configuration(ground, directory), encoding="utf-8")
    configuration.chmod(0o600)
    account.own(configuration)
    root = os.geteuid() == 0  # PgBouncer refuses to run as root, too
    process = subprocess.Popen(
        [program(), "-q", str(configuration)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        user=account.uid if root else None,
        group=account.gid if root else None,
        extra_groups=[] if root else None,
    )
    try:
        parts = conninfo_to_dict(ground.application())
        through = make_conninfo("", host="127.0.0.1", port=ground.port, user=parts["user"], dbname=parts["dbname"])
        until = time.monotonic() + _PATIENCE
        while not _answers(through):
            if process.poll() is not None or time.monotonic() > until:
                raise FailedPartway("PgBouncer did not begin to answer", f"read {directory / 'log'}")
            time.sleep(0.1)
        yield through
    finally:
        process.kill()
        process.wait()


def _configuration(ground: Ground, directory: Path) -> str:
    parts = conninfo_to_dict(ground.application())
    password = ground.password(str(parts["user"]))
    to = f"host=127.0.0.1 port={parts['port']} user={parts['user']} password={password}"
    settings = {
        "listen_addr": "127.0.0.1",
        "listen_port": str(ground.port),
        "unix_socket_dir": "",
        "auth_type": "any",  # on loopback, for a game day
        "pool_mode": "transaction",
        "default_pool_size": str(POOL),
        "query_wait_timeout": "600",
        "stats_users": OPERATOR,
        "logfile": str(directory / "log"),
    }
    return "\n".join(
        ["[databases]", f"* = {to}", "[pgbouncer]", *(f"{name} = {value}" for name, value in settings.items()), ""]
    )


def _answers(conninfo: str) -> bool:
    with suppress(psycopg.OperationalError), psycopg.connect(conninfo, connect_timeout=2):
        return True
    return False
