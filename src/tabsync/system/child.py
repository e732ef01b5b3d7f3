"""A child process that one works with while it runs: its output as it comes, its end in our hand."""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, cast

from tabsync.system.programs import Finished, program_environment

_KEPT_LINES = 200
_MUCH = 1 << 20  # bytes: as much as a pipe holds at most, unless the administrator allows more
_MOMENT = 0.0005  # seconds, in which no program writes as much


@dataclass(slots=True)
class Child:
    """A running program. stdout: its output, where it was asked for."""

    process: subprocess.Popen[bytes]
    _kept: deque[str] = field(default_factory=lambda: deque(maxlen=_KEPT_LINES))
    _listener: threading.Thread | None = None

    @property
    def stdout(self) -> IO[bytes]:
        """What it prints, as bytes."""
        return cast(IO[bytes], self.process.stdout)

    def torrent(self) -> io.BufferedReader:
        """What it prints, where that is gigabytes: read a megabyte at a time, which takes half as much work of both."""
        pipe = self.stdout.fileno()
        with contextlib.suppress(OSError, AttributeError):  # only Linux has it, and it may be all given out
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _MUCH)
        return io.BufferedReader(_Torrent(pipe), _MUCH)

    def running(self) -> bool:
        """Whether it still runs."""
        return self.process.poll() is None

    def ended(self) -> Finished:
        """Wait for its end; what it left, but for its output."""
        code = self.process.wait()
        if self._listener is not None:
            self._listener.join()
        return Finished(code, "", tuple(self._kept))

    def interrupt(self, timeout: float) -> Finished:
        """Ask it to end (SIGINT) and wait; after `timeout` seconds it is killed."""
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
        return self.ended()

    def listen(self, on_line: Callable[[str], None] | None) -> None:
        """Keep the last lines of its stderr, and pass each on."""

        def read() -> None:
            for line in cast(IO[bytes], self.process.stderr):
                text = line.decode(errors="replace").rstrip("\n")
                self._kept.append(text)
                if on_line:
                    on_line(text)

        self._listener = threading.Thread(target=read, daemon=True)
        self._listener.start()


class _Torrent(io.RawIOBase):
    """A pipe that is read when there is much in it: who reads at once is woken for each few kilobytes."""

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        size = os.readv(self._pipe, [buffer])
        if size < _MUCH // 2:
            time.sleep(_MOMENT)
        return size


@contextmanager
def child(
    argv: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    claim: Path | None = None,
    output: bool = False,
    on_line: Callable[[str], None] | None = None,
) -> Iterator[Child]:
    """Start a program for the time of the block; whatever ends the block ends it too.

    env, claim: as in run_program; output: its stdout is read by us; on_line: called with each line of stderr.
    """
    process = subprocess.Popen(
        [str(word) for word in argv],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE if output else subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        cwd="/",
        env=program_environment(env or {}, claim),
        start_new_session=True,  # Ctrl-C at the terminal is for us; we end it in order
    )
    started = Child(process)
    started.listen(on_line)
    try:
        yield started
    finally:
        process.kill()
        started.ended()
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()
