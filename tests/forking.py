"""The process that has imported `tabsync` and forks for each command that tests/forked.py asks for."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import socket
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.killed_at import VARIABLE, arm

_IMPORTS = (
    "tabsync.cli.edge",
    "tabsync.cli.tree",
    "tabsync.cli.paper",
    "tabsync.cli.perform",
    "tabsync.cli.schedule",
    "tabsync.cli.query",
    "tabsync.postgres.catalog",
    "tabsync.postgres.readonly",
    "tabsync.manual.load",
    "tabsync.ledger.open",
    "tabsync.ledger.tables",
    "tabsync.schedule.look",
    "tabsync.service.scheduler",
    "tabsync.stores.manifest",
    "tabsync.workspace",
    "tabsync.cli.terminal",
    "tabsync.demo.place",
    "tabsync.ledger.moved",
    "tabsync.ledger.journal",
    "tabsync.backups.retention.policy",
    "tabsync.copies.dumps.pg_dump",
    "tabsync.copies.restores.pg_restore",
    "tabsync.deployments.guard",
    "tabsync.deployments.rehearse",
    "tabsync.deployments.shown",
    "tabsync.migrations.show_status",
    "tabsync.migrations.undo.undo",
    "tabsync.monitoring.history.history",
    "tabsync.postgres.embedded",
    "alembic.command",
    "alembic.ddl.impl",
    "cryptography.hazmat.primitives.asymmetric.ed25519",
    "psutil",
    "psycopg",
    "sqlalchemy.dialects.postgresql.psycopg",
    "sqlalchemy.dialects.sqlite",
    "rich.console",
    "rich.progress",
    "rich.table",
    "zstandard",
)


def _serve(name: str) -> None:
    """Fork for each request, until stdin ends."""
    import gc
    import importlib

    for module in _IMPORTS:
        importlib.import_module(module)
    _read_manuals()
    with socket.socket(socket.AF_UNIX) as listening, selectors.DefaultSelector() as events:
        listening.bind("\0" + name)
        listening.listen(16)
        events.register(listening, selectors.EVENT_READ)
        events.register(0, selectors.EVENT_READ)
        gc.freeze()
        os.write(1, b"ready\n")
        while True:
            for key, _ in events.select():
                if key.fd == 0:
                    return
                if key.fileobj is listening:
                    _begin(listening, events)
                else:
                    _tell_end(key, events)


def _read_manuals() -> None:
    """Have looked at their text once, as a program that runs on has: each command would parse the same SQL."""
    from tabsync.manual.load import load
    from tabsync.postgres import readonly_text
    from tabsync.profiles import plain
    from tabsync.profiles.tabsync import PROFILE_MANUAL

    for path in (PROFILE_MANUAL, Path(plain.__path__[0]) / "manual.md"):
        for metric in load(path).metrics:
            readonly_text.check_readonly(metric.sql)
            readonly_text.tables_of(metric.sql)
            readonly_text.names_of(metric.sql)


def _begin(listening: socket.socket, events: selectors.BaseSelector) -> None:
    asked, _ = listening.accept()
    head, pipes, _, _ = socket.recv_fds(asked, 4, 3)
    with asked.makefile("rb") as stream:
        request = json.loads(stream.read(int.from_bytes(head, "big")))
    pid = os.fork()
    if pid == 0:
        for key in list(events.get_map().values()):
            if key.data:  # of the others that run
                os.close(key.fd)
                key.data[1].close()
        asked.close()
        _become(request, pipes)
    for one in pipes:
        os.close(one)
    asked.sendall(f"{pid}\n".encode())
    events.register(os.pidfd_open(pid), selectors.EVENT_READ, (pid, asked))


def _tell_end(key: selectors.SelectorKey, events: selectors.BaseSelector) -> None:
    pid, asked = key.data
    events.unregister(key.fileobj)
    os.close(key.fd)
    _, status = os.waitpid(pid, 0)
    with contextlib.suppress(OSError):  # whoever asked may have stopped waiting
        asked.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
    asked.close()


class _Become(BaseException):
    """Leaves the loop of the process that forks, for good."""


def _become(request: dict[str, Any], pipes: Sequence[int]) -> None:
    """Be the command from here on."""
    for number, one in enumerate(pipes):
        os.dup2(one, number)
        os.close(one)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    time.tzset()
    sys.argv = request["argv"]
    raise _Become


def main() -> None:
    """Be the process that forks, or what it became."""
    with contextlib.suppress(_Become):
        _serve(sys.argv[1])
        return
    import random

    from tabsync.cli import main as tabsync

    random.seed()
    if VARIABLE in os.environ:
        arm()
    sys.stdin = open(0, closefd=False)  # noqa: SIM115 - as Python makes them for what these are now
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, errors="backslashreplace", closefd=False)  # noqa: SIM115
    tabsync()


if __name__ == "__main__":
    main()
