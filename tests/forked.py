"""Runs commands of `tabsync` in processes that have imported it already: most of what a short command costs is that.

One process per worker imports what commands import, and forks for each: its child has the directory, the environment
and the pipes that it is given, and ends as a program ends. What a test changes about the start itself (another program,
another encoding, Python's own variables) is run as a real program; so is everything when the whole is run.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import select
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from tests.killed_at import VARIABLE, arm
from tests.whole import WHOLE

_CLOCK = Path(__file__).with_name("clock_site")
_LANGUAGE = "C.UTF-8"
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


def run(
    argv: Sequence[str | Path], cwd: Path, env: Mapping[str, str], timeout: float
) -> subprocess.CompletedProcess[str]:
    """Run `tabsync` with arguments to its end, with nothing on its stdin. Raises subprocess.TimeoutExpired.

    argv: the program, then its arguments; timeout: seconds.
    """
    words = [str(one) for one in argv]
    if _as_a_program(words[0], env):
        return subprocess.run(
            words, cwd=cwd, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout
        )
    started = Started(words, cwd, env)
    out, err = started.communicate(timeout)
    assert started.returncode is not None
    return subprocess.CompletedProcess(words, started.returncode, out, err)


def start(argv: Sequence[str | Path], cwd: Path, env: Mapping[str, str]) -> subprocess.Popen[str] | Started:
    """Start it, and do not wait. Its pipes are read, and it is waited for, by communicate()."""
    words = [str(one) for one in argv]
    if not _as_a_program(words[0], env):
        return Started(words, cwd, env)
    return subprocess.Popen(
        words, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def _as_a_program(program: str, env: Mapping[str, str]) -> bool:
    return VARIABLE not in env and (WHOLE or not _as_usual(program, env))


def _as_usual(program: str, env: Mapping[str, str]) -> bool:
    python = {name for name in env if name.startswith("PYTHON")} - {"PYTHONPATH"}
    clock = env.get("PYTHONPATH", str(_CLOCK)) == str(_CLOCK) and "TABSYNC_TEST_STARTS" not in env
    usual = program == str(Path(sys.executable).with_name("tabsync"))
    return usual and clock and not python and env.get("LC_ALL") == _LANGUAGE and "LANGUAGE" not in env


class Started:
    """A command that runs; what a test needs of subprocess.Popen with text."""

    def __init__(self, argv: Sequence[str | Path], cwd: Path, env: Mapping[str, str]) -> None:
        self.argv = [str(one) for one in argv]
        self.returncode: int | None = None
        read_out, write_out = os.pipe()
        read_err, write_err = os.pipe()
        self._asked = socket.socket(socket.AF_UNIX)
        try:
            self._asked.connect(_server())
            request = json.dumps({"argv": self.argv, "cwd": str(cwd), "env": dict(env)}).encode()
            socket.send_fds(self._asked, [len(request).to_bytes(4, "big")], [write_out, write_err])
            self._asked.sendall(request)
        finally:
            os.close(write_out)
            os.close(write_err)
        self._answers = self._asked.makefile("r")
        self.pid = int(self._answers.readline())
        self.stdout, self.stderr = os.fdopen(read_out), os.fdopen(read_err)

    def poll(self) -> int | None:
        """Its exit code; None while it runs."""
        if self.returncode is None and select.select([self._asked], [], [], 0)[0]:
            self._wait(None)
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Wait for its end; gives what it printed that was not read yet. Raises subprocess.TimeoutExpired."""
        until = time.monotonic() + (timeout or 600)
        found = {one.fileno(): b"" for one in (self.stdout, self.stderr)}
        out, err = found
        try:
            _drain(found, until)
            self._wait(max(0.01, until - time.monotonic()))
        except (TimeoutError, OSError):
            os.kill(self.pid, signal.SIGKILL)
            raise subprocess.TimeoutExpired(self.argv, timeout or 600, found[out], found[err]) from None
        finally:
            for one in (self.stdout, self.stderr, self._answers, self._asked):
                one.close()
        printed = (found[one].decode().replace("\r\n", "\n") for one in (out, err))
        return next(printed), next(printed)

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def _wait(self, seconds: float | None) -> None:
        if self.returncode is None:
            self._asked.settimeout(seconds)
            self.returncode = int(self._answers.readline())


def _drain(found: dict[int, bytes], until: float) -> None:
    """Read pipes until all who have their other ends are gone. Raises TimeoutError."""
    with selectors.DefaultSelector() as both:
        for one in found:
            both.register(one, selectors.EVENT_READ)
        while both.get_map():
            ready = both.select(until - time.monotonic())
            if not ready:
                raise TimeoutError
            for key, _ in ready:
                data = os.read(key.fd, 65536)
                found[key.fd] += data
                if not data:
                    both.unregister(key.fd)


@cache
def _server() -> str:
    """The address of this worker's process that forks; it ends with the worker."""
    address = f"\0tabsync-tests-{os.getpid()}-{time.monotonic_ns()}"
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.forked", address[1:]],
        cwd=Path(__file__).parents[1],
        env={**kept, "LC_ALL": _LANGUAGE, "PYTHONPATH": str(_CLOCK)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None and process.stdin is not None
    assert process.stdout.readline() == b"ready\n"
    atexit.register(process.kill)
    return address


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
    from tabsync.workspace import PROFILE_MANUAL

    for path in (PROFILE_MANUAL, Path(plain.__path__[0]) / "manual.md"):
        for metric in load(path).metrics:
            readonly_text.check_readonly(metric.sql)
            readonly_text.tables_of(metric.sql)
            readonly_text.names_of(metric.sql)


def _begin(listening: socket.socket, events: selectors.BaseSelector) -> None:
    asked, _ = listening.accept()
    head, pipes, _, _ = socket.recv_fds(asked, 4, 2)
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
    nothing = os.open(os.devnull, os.O_RDONLY)
    for number, one in enumerate((nothing, *pipes)):
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
