"""Who asks at the emergency socket. Questions are answered as they come, so that nobody waits for another's silence.

A command that was stopped (Ctrl-Z, a debugger, a laptop that sleeps) keeps its connection open and says nothing.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field

from tabsync.sessions.emergency import LONGEST
from tabsync.system.local import may_ask

_QUESTION = 2.0  # seconds for a whole question, from its first byte on
_SILENCE = 20.0  # seconds that one may take between two questions
_SEND = 1.0  # seconds for an answer to be taken
_MOST = 50  # connections; the one that has been silent longest makes room
_PIECE = 1 << 16


@dataclass(slots=True)
class _Asker:
    """One connection. pending: the beginning of a question; until: when it is closed if nothing more comes."""

    until: float
    pending: bytearray = field(default_factory=bytearray)


@dataclass(slots=True)
class Askers:
    """The connections of those who ask. answer: gives the line that answers a line."""

    answer: Callable[[bytes], bytes]
    _open: dict[socket.socket, _Asker] = field(default_factory=dict)

    @property
    def sockets(self) -> list[socket.socket]:
        """What to wait for."""
        return list(self._open)

    def accept(self, listening: socket.socket) -> None:
        """Take one more, if it is of our own account."""
        with suppress(OSError):
            asking, _ = listening.accept()
            if not may_ask(asking):
                asking.close()
                return
            asking.settimeout(_SEND)
            self._open[asking] = _Asker(time.monotonic() + _SILENCE)
            if len(self._open) > _MOST:
                self._drop(min(self._open, key=lambda one: self._open[one].until))

    def hear(self, ready: Iterable[object]) -> None:
        """Read what those have sent that are ready, and answer what is a whole question."""
        for one in [asking for asking in self._open if asking in ready]:
            try:
                self._read(one, self._open[one])
            except OSError:
                self._drop(one)

    def drop_silent(self) -> None:
        """Close those who take too long."""
        moment = time.monotonic()
        for one in [asking for asking, about in self._open.items() if about.until <= moment]:
            self._drop(one)

    def close(self) -> None:
        """Close all."""
        for one in self.sockets:
            self._drop(one)

    def _read(self, asking: socket.socket, about: _Asker) -> None:
        piece = asking.recv(_PIECE)
        if not piece or len(about.pending) + len(piece) > LONGEST:
            self._drop(asking)
            return
        if not about.pending:
            about.until = time.monotonic() + _QUESTION
        about.pending += piece
        while b"\n" in about.pending:
            line, _, rest = about.pending.partition(b"\n")
            about.pending = rest
            asking.sendall(self.answer(bytes(line)))
            about.until = time.monotonic() + (_QUESTION if rest else _SILENCE)

    def _drop(self, asking: socket.socket) -> None:
        self._open.pop(asking, None)
        with suppress(OSError):
            asking.close()
