"""`tabsync serve`: a small process that keeps others running, each apart: console, scheduler, collector.

It opens the console's port, so that it stays the same when the console is started again, and nobody is refused
meanwhile. When it dies, they end by themselves; the runs that the scheduler started go on, and the next one adopts
them.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from socket import socket
from types import FrameType

from tabsync.system.parent import PARENT

LISTENING = "TABSYNC_LISTENING"
"""Environment variable with the descriptor of the console's socket."""

AGAIN = "TABSYNC_STARTED_AGAIN"
"""Environment variable that is set in a process that was started again: it needn't say everything once more."""

_BACK_OFF = (0.5, 1.0, 2.0, 5.0, 15.0, 30.0)  # seconds until one is started again
_WELL = 60.0  # seconds after which it counts as having run well
_END = 120.0  # seconds for them to end: what runs is given its time


@dataclass(slots=True)
class Part:
    """One of the processes. words: of its command; gives_up: exit codes with which it is not started again."""

    name: str
    words: Sequence[str]
    inherits: tuple[int, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    tries: int = 0
    again: float = 0.0

    def keep(self, say: Callable[[str], None]) -> None:
        """See that it runs."""
        moment = time.monotonic()
        if self.process is not None:
            code = self.process.poll()
            if code is None:
                return
            self.process = None
            self.tries = 0 if moment - self.started > _WELL else self.tries + 1
            self.again = moment + _BACK_OFF[min(self.tries, len(_BACK_OFF) - 1)]
            ended = f"by signal {-code}" if code < 0 else f"with exit code {code}"
            say(f"the {self.name} ended {ended}; it is started again")
        if moment >= self.again:
            self._start(moment)

    def _start(self, moment: float) -> None:
        again = {AGAIN: "1"} if self.started else {}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tabsync", *self.words],
            stdin=subprocess.DEVNULL,
            pass_fds=self.inherits,
            start_new_session=True,  # Ctrl-C is for the parent, who ends them in order
            env={**os.environ, **self.environment, **again, PARENT: str(os.getpid())},
        )
        self.started = moment

    def ask_to_end(self) -> None:
        """Ask it to end."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(signal.SIGTERM)

    def ended(self, until: float) -> bool:
        """Wait for its end; whether it came in time."""
        if self.process is None:
            return True
        try:
            self.process.wait(max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            return False
        return True


def serve(
    listening: socket, console: Sequence[str], others: Sequence[Sequence[str]], say: Callable[[str], None]
) -> None:
    """Keep all running until Ctrl-C or SIGTERM, then end them in order.

    listening: the console's socket; console, others: the words of their commands; say: where it is told what ended.
    """
    asked = threading.Event()

    def ask(_number: int, _frame: FrameType | None) -> None:
        if asked.is_set():
            raise KeyboardInterrupt  # the second time: don't wait for what runs
        asked.set()

    listening.set_inheritable(True)
    inherited = {LISTENING: str(listening.fileno())}
    parts = [
        Part("console", console, (listening.fileno(),), inherited),
        *(Part(words[0], words) for words in others),
    ]
    previous = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        while not asked.is_set():
            for part in parts:
                part.keep(say)
            asked.wait(0.5)
        _end(parts)
    finally:
        for part in parts:
            if part.process is not None and part.process.poll() is None:
                part.process.kill()
        for number, handler in previous.items():
            signal.signal(number, handler)


def _end(parts: Sequence[Part]) -> None:
    for part in parts:
        part.ask_to_end()
    until = time.monotonic() + _END
    for part in parts:
        part.ended(until)
