"""Runs the command of a deployment: its output shown as it comes, and kept; it outlives us rather than stop halfway."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from tabsync.deployments.secrets import Mask, harmless, secrets_of, without_colour
from tabsync.kernel.errors import BadUsage

_LOOK = 0.05  # seconds between two looks for what it printed
_KEPT = 200  # lines, for the record
_RECORDED = 2_000  # characters of a line
_LOOKED = 2_000  # characters that are looked through for secrets at once
_LONGEST = 1 << 20  # bytes of a line; a longer one comes in pieces


@dataclass(slots=True)
class Command:
    """A running command. lines: the last that it printed, without colours and secrets."""

    process: subprocess.Popen[bytes]
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=_KEPT))
    asked: int = 0

    def interrupt(self, number: int = signal.SIGINT) -> None:
        """Ask it and what it started to end; it decides what of its work is finished first."""
        self.asked += 1
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL if self.asked > 2 else number)

    def kill(self) -> None:
        """End it and what it started at once."""
        self.asked = 3
        self.interrupt()


@contextmanager
def started(argv: Sequence[str], environment: Mapping[str, str], show: Callable[[str], None]) -> Iterator[Command]:
    """Start it in this directory, for the time of the block; when that ends, it has ended.

    Its output goes into a file that we read, and not into a pipe: when we are killed it goes on, and nothing that it
    prints fails. show: called with each line, its secrets hidden. Ctrl-C and SIGTERM are passed on to it, the third
    time SIGKILL. Raises BadUsage when there is no such program.
    """
    mask = Mask(secrets_of(environment))
    with tempfile.TemporaryFile() as output:
        command = Command(_process(argv, environment, output))
        ended = threading.Event()

        def follow() -> None:
            for line in _lines(output, ended):
                masked = " ".join(map(mask, _pieces(line)))
                command.lines.append(without_colour(masked)[:_RECORDED])
                with suppress(OSError, ValueError):  # whoever read it is gone; the command goes on
                    show(harmless(masked))

        reader = threading.Thread(target=follow, name="deployment", daemon=True)
        reader.start()
        try:
            with _passed_on(command):
                yield command
                _wait(command)
        except BaseException:
            command.interrupt(signal.SIGTERM)
            _wait(command)
            raise
        finally:
            ended.set()
            reader.join()


def show_on(stream: IO[str]) -> Callable[[str], None]:
    """Prints lines on a stream."""

    def show(line: str) -> None:
        stream.write(f"{line}\n")
        stream.flush()

    return show


def _process(argv: Sequence[str], environment: Mapping[str, str], output: IO[bytes]) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(environment),
            start_new_session=True,  # Ctrl-C at the terminal is for us; and what reads the terminal fails at once
        )
    except OSError as error:
        name = Path(argv[0]).name
        raise BadUsage(
            f"can't run {name}: {error.strerror}", "what follows -- is the command of the deployment"
        ) from None


def _wait(command: Command) -> None:
    while True:
        try:
            command.process.wait()
            return
        except KeyboardInterrupt:
            command.interrupt()


@contextmanager
def _passed_on(command: Command) -> Iterator[None]:
    """SIGINT and SIGTERM go to the command as long as it runs; only the main thread may say so."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def pass_on(number: int, _frame: object) -> None:
        sys.stderr.write("note: passed on to the command; a third time ends it at once\n")
        command.interrupt(number)

    before = {number: signal.signal(number, pass_on) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _pieces(line: str) -> Iterator[str]:
    """A long line by its words: looking for secrets takes the square of a length. Too long a word isn't shown."""
    if len(line) <= _LOOKED:
        yield line
        return
    piece = ""
    for word in line.split(" "):
        shown = word if len(word) <= _LOOKED else f"({len(word):,} characters)"
        if piece and len(piece) + len(shown) >= _LOOKED:
            yield piece
            piece = ""
        piece = f"{piece} {shown}" if piece else shown
    yield piece


def _lines(output: IO[bytes], ended: threading.Event) -> Iterator[str]:
    """The lines that are written to a file, as they come; a carriage return ends one, as of a progress bar."""
    at, rest = 0, b""
    while True:
        last = ended.is_set()
        found = os.pread(output.fileno(), 1 << 16, at)
        at += len(found)
        rest += found.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *whole, rest = rest.split(b"\n")
        yield from (one.decode(errors="replace") for one in whole)
        if len(rest) > _LONGEST:
            yield rest.decode(errors="replace")
            rest = b""
        if found:
            continue
        if last:
            if rest:
                yield rest.decode(errors="replace")
            return
        time.sleep(_LOOK)
