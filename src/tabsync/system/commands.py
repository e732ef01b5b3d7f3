"""Runs a command that a person configured: bounded, and what it leaves running stays."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from tabsync.kernel.errors import BadUsage, FailedPartway
from tabsync.system.programs import Finished, program_environment

_KEPT = 256 << 10  # bytes, of each stream
_ENDS = 5.0  # seconds for it to end in order, before it is killed


def run_command(argv: Sequence[str], *, env: Mapping[str, str], timeout: float) -> Finished:
    """Run a command to its end and return what it printed last.

    env: added to a minimal environment (secrets go here, never into argv). timeout: seconds; then the command is ended
    with all that it started, first by SIGTERM. A program that it leaves running in the background stays, and does not
    hold us up: its output goes into a file, so nobody waits for the end of a pipe.
    Raises FailedPartway on time-out, BadUsage when there is no such program.
    """
    with tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
        try:
            process = subprocess.Popen(
                list(argv),
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                cwd="/",
                env=program_environment(env, None),
                process_group=0,
            )
        except (FileNotFoundError, PermissionError, NotADirectoryError, OSError) as error:
            raise BadUsage(f"can't run {argv[0]}: {error.strerror}", "give the whole path of a program") from None
        try:
            code = process.wait(timeout)
        except subprocess.TimeoutExpired:
            _end(process)
            name = Path(argv[0]).name
            raise FailedPartway(
                f"{name} did not end within {timeout:g} s and was ended", "what it did is unknown"
            ) from None
        except BaseException:
            _end(process)
            raise
        return Finished(code, _tail(stdout), tuple(_tail(stderr).splitlines()))


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a command and what it started: in order, then by force."""
    for how in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, how)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_ENDS)


def _tail(stream: IO[bytes]) -> str:
    size = stream.seek(0, os.SEEK_END)
    stream.seek(max(0, size - _KEPT))
    return stream.read().decode(errors="replace")
