"""Runs a command that a person configured: bounded, and what it leaves running stays."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tabsync.kernel.errors import BadUsage, FailedPartway
from tabsync.system.programs import Finished, program_environment

_KEPT = 256 << 10  # bytes, of each stream
_MOST = 8 << 20  # bytes, of each stream, until its beginning is cut off
_LOOK = 0.1  # seconds between two looks at how much there is
_ENDS = 5.0  # seconds for it to end in order, before it is killed


@dataclass(slots=True)
class _Output:
    """The file that a command prints into. before: the end of what was taken out of it already."""

    file: IO[bytes]
    before: bytes = b""

    def __post_init__(self) -> None:
        """Its writer appends: what is cut off at the beginning is not left as a hole."""
        fcntl.fcntl(self.file, fcntl.F_SETFL, fcntl.fcntl(self.file, fcntl.F_GETFL) | os.O_APPEND)

    def shorten(self) -> None:
        """Make it short when it has become long; its writer goes on meanwhile."""
        if os.fstat(self.file.fileno()).st_size > _MOST:
            self.before = self.last()
            self.file.truncate(0)

    def last(self) -> bytes:
        """The last that was printed."""
        size = self.file.seek(0, os.SEEK_END)
        self.file.seek(max(0, size - _KEPT))
        return (self.before + self.file.read())[-_KEPT:]


def run_command(argv: Sequence[str], *, env: Mapping[str, str], timeout: float, cwd: Path = Path("/")) -> Finished:
    """Run a command to its end and return what it printed last.

    env: added to a minimal environment (secrets go here, never into argv). cwd: where it runs. timeout: seconds; then
    the command is ended with all that it started, first by SIGTERM. A program that it leaves running in the background
    stays, and does not hold us up: its output goes into a file, so nobody waits for the end of a pipe. What it prints
    without end does not fill the disk: only the last of it is kept.
    Raises FailedPartway on time-out, BadUsage when there is no such program.
    """
    with tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
        outputs = _Output(stdout), _Output(stderr)
        try:
            process = subprocess.Popen(
                list(argv),
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                cwd=cwd,
                env=program_environment(env, None),
                process_group=0,
            )
        except (FileNotFoundError, PermissionError, NotADirectoryError, OSError) as error:
            raise BadUsage(f"can't run {argv[0]}: {error.strerror}", "give the whole path of a program") from None
        try:
            code = _ended(process, timeout, outputs)
        except subprocess.TimeoutExpired:
            _end(process)
            name = Path(argv[0]).name
            raise FailedPartway(
                f"{name} did not end within {timeout:g} s and was ended", "what it did is unknown"
            ) from None
        except BaseException:
            _end(process)
            raise
        told, complained = (one.last().decode(errors="replace") for one in outputs)
        return Finished(code, told, tuple(complained.splitlines()))


def _ended(process: subprocess.Popen[bytes], timeout: float, outputs: Sequence[_Output]) -> int:
    """Wait for its exit code, and keep what it prints short meanwhile. Raises subprocess.TimeoutExpired."""
    until = time.monotonic() + timeout
    while True:
        left = until - time.monotonic()
        try:
            return process.wait(min(_LOOK, max(left, 0)))
        except subprocess.TimeoutExpired:
            if left <= 0:
                raise
        for one in outputs:
            one.shorten()


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a command and what it started: in order, then by force."""
    for how in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, how)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_ENDS)
