"""The one door to child processes: argument lists, no shell, secrets only through the environment."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from tabsync.kernel.errors import FailedPartway
from tabsync.system.account import Account
from tabsync.system.claims import MARK

_KEPT_LINES = 200
_PASSED_ON = ("PATH", "HOME", "LANG", "TMPDIR", "SSL_CERT_FILE", "KRB5CCNAME", "LD_LIBRARY_PATH", "TZ")

_PROGRAM = re.compile(r"\w+: ")
_PROGRAMS_DETAIL = re.compile(r"\w+: detail: (?:Error message from server: )?(.*)")
_SERVERS_DETAIL = re.compile(r"(?:[^\W\d_a-zß-ÿ]+):  +(.*)")
_COMMAND = ("Command was:", "Query was:")


@dataclass(frozen=True, slots=True)
class Finished:
    """What a program left: its exit code, all of stdout, and the last lines of stderr."""

    code: int
    stdout: str
    stderr: tuple[str, ...]

    def complaint(self) -> str:
        """What went wrong, in one line: the first error on stderr, with the details that follow it.

        The programs' own words come in English (program_environment), a server's perhaps in its language; so its lines
        are known by their form: DETAIL, CONTEXT, or what another language calls them.
        """
        number = next((at for at, line in enumerate(self.stderr) if _is_error(line)), None)
        if number is None:
            lines = [line for line in self.stderr if line.strip()]
            return lines[0].strip() if lines else f"exit code {self.code}"
        parts = [self.stderr[number].strip()]
        for line in self.stderr[number + 1 :]:
            if found := _PROGRAMS_DETAIL.match(line) or _SERVERS_DETAIL.match(line):
                parts += [found[1].strip()] if not found[1].startswith(_COMMAND) else []
            elif _is_error(line) or _PROGRAM.match(line):
                break
        return ": ".join([parts[0], "; ".join(parts[1:])]) if parts[1:] else parts[0]


def _is_error(line: str) -> bool:
    return "error:" in line or "FATAL:" in line or "fatal:" in line


def run_program(
    argv: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    account: Account | None = None,
    claim: Path | None = None,
    on_line: Callable[[str], None] | None = None,
    timeout: float | None = None,
    all_stderr: bool = False,
    beside: Callable[[subprocess.Popen[str]], AbstractContextManager[None]] | None = None,
) -> Finished:
    """Run a program to its end and return what it left; whatever ends us ends it too.

    env: added to a minimal environment (secrets go here, never into argv). account: run as this account.
    claim: the claimed directory it works for, so that a sweep finds it if we are killed.
    on_line: called with each line of stderr as it comes. timeout: seconds, then it is killed.
    beside: what goes on as long as the program runs, in a process group of its own, and ends when it does.
    Raises FailedPartway on time-out, FileNotFoundError when there is no such program.
    """
    other = account if account is not None and account.uid != os.geteuid() else None
    kept: deque[str] = deque(maxlen=None if all_stderr else _KEPT_LINES)
    with tempfile.TemporaryFile() as stdout:
        process = subprocess.Popen(
            [str(word) for word in argv],
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.PIPE,
            cwd="/",
            env=program_environment(env or {}, claim),
            encoding="utf-8",
            errors="replace",
            user=other.uid if other else None,
            group=other.gid if other else None,
            extra_groups=[] if other else None,
            process_group=0 if beside else None,  # whoever is beside it may stop all of it, and not us
        )
        killed = threading.Event()
        timer = threading.Timer(timeout or threading.TIMEOUT_MAX, _kill, (process, killed))
        timer.daemon = True
        timer.start()
        try:
            with beside(process) if beside else nullcontext():
                for line in cast(IO[str], process.stderr):
                    kept.append(line.rstrip("\n"))
                    if on_line:
                        on_line(kept[-1])
                process.wait()
        finally:
            timer.cancel()
            process.kill()
            process.wait()
            cast(IO[str], process.stderr).close()
        if killed.is_set():
            raise FailedPartway(f"{Path(argv[0]).name} did not end within {timeout:.0f} s and was killed")
        stdout.seek(0)
        return Finished(process.returncode, stdout.read().decode(errors="replace"), tuple(kept))


def _kill(process: subprocess.Popen[str], killed: threading.Event) -> None:
    killed.set()
    process.kill()


def program_environment(extra: Mapping[str, str], claim: Path | None) -> dict[str, str]:
    """What a child process gets to see: little of ours, what it is given, and whose directory it works for."""
    # Messages are read by us, so they come in one language; PG* variables come only from the resolved connection.
    env = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    env |= {"LC_ALL": "C.UTF-8", **extra}
    if claim is not None:
        env[MARK] = str(claim)
    return env
