"""A real PgBouncer in front of a server of the tests."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tabsync.system.account import server_account
from tests.emulators import free_port

PROGRAM = shutil.which("pgbouncer") or "/usr/sbin/pgbouncer"


@contextmanager
def pgbouncer(directory: Path, conninfo: str, mode: str, **settings: str) -> Iterator[str]:
    """A PgBouncer in front of a server, which passes every database on; gives a connection string through it.

    mode: "session", "transaction" or "statement"; settings: more lines of its configuration.
    """
    parts = conninfo_to_dict(conninfo)
    password = Path(str(parts["passfile"])).read_text().strip().rpartition(":")[2]
    port = free_port()
    given = {
        "listen_addr": "127.0.0.1",
        "listen_port": str(port),
        "unix_socket_dir": "",
        "auth_type": "any",
        "pool_mode": mode,
        "default_pool_size": "2",
        "logfile": str(directory / "pgbouncer.log"),
    } | settings
    lines = ["[databases]", f"* = host={parts['host']} port={parts['port']} user=postgres password={password}"]
    lines += ["[pgbouncer]", *(f"{name} = {value}" for name, value in given.items())]
    configuration = directory / "pgbouncer.ini"
    configuration.write_text("\n".join(lines) + "\n")
    configuration.chmod(0o644)
    directory.chmod(0o777)  # PgBouncer refuses to run as root, and writes its log there
    account = server_account()
    process = subprocess.Popen(
        [PROGRAM, str(configuration)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        user=account.uid,
        group=account.gid,
        extra_groups=[],
    )
    through = make_conninfo("", host="127.0.0.1", port=port, user="postgres", dbname=str(parts["dbname"]))
    try:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with suppress(psycopg.OperationalError), psycopg.connect(through):
                break
            time.sleep(0.05)
        yield through
    finally:
        process.kill()
        process.wait()
