"""Runs commands of `tabsync` in processes that have imported it already: most of what a short command costs is that.

One process per worker imports what commands import, and forks for each: its child has the directory, the environment
and the pipes that it is given, and ends as a program ends. What a test changes about the start itself (another program,
another encoding, Python's own variables) is run as a real program; so is everything when the whole is run.
"""

from __future__ import annotations

import atexit
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

from tests.killed_at import VARIABLE
from tests.whole import WHOLE

_CLOCK = Path(__file__).with_name("clock_site")
_LANGUAGE = "C.UTF-8"


def run(
    argv: Sequence[str | Path], cwd: Path, env: Mapping[str, str], timeout: float, given: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run `tabsync` with arguments to its end. Raises subprocess.TimeoutExpired.

    argv: the program, then its arguments; timeout: seconds; given: a few lines on its stdin.
    """
    words = [str(one) for one in argv]
    if _as_a_program(words[0], env):
        return subprocess.run(
            words,
            cwd=cwd,
            env=env,
            capture_output=True,
            text=True,
            timeout=timeout,
            **({"input": given} if given else {"stdin": subprocess.DEVNULL}),
        )
    started = Started(words, cwd, env, given)
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

    def __init__(self, argv: Sequence[str | Path], cwd: Path, env: Mapping[str, str], given: str = "") -> None:
        self.argv = [str(one) for one in argv]
        self.returncode: int | None = None
        read_in = _holding(given) if given else os.open(os.devnull, os.O_RDONLY)
        read_out, write_out = os.pipe()
        read_err, write_err = os.pipe()
        self._asked = socket.socket(socket.AF_UNIX)
        try:
            self._asked.connect(_server())
            request = json.dumps({"argv": self.argv, "cwd": str(cwd), "env": dict(env)}).encode()
            socket.send_fds(self._asked, [len(request).to_bytes(4, "big")], [read_in, write_out, write_err])
            self._asked.sendall(request)
        finally:
            for one in (read_in, write_out, write_err):
                os.close(one)
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


def _holding(given: str) -> int:
    """The end to read of a pipe that holds a text and nothing after it."""
    read, write = os.pipe()
    os.write(write, given.encode())  # it has room for 64 kB
    os.close(write)
    return read


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
        [sys.executable, "-m", "tests.forking", address[1:]],
        cwd=Path(__file__).parents[1],
        env={**kept, "LC_ALL": _LANGUAGE, "PYTHONPATH": str(_CLOCK)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None and process.stdin is not None
    assert process.stdout.readline() == b"ready\n"
    atexit.register(process.kill)
    return address
