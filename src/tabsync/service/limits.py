"""Undoes the connection limits whose time is over, beside the scheduler, which it never delays."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Thread

from tabsync.sessions.limit import undo_what_is_over
from tabsync.sessions.limits import to_undo
from tabsync.workspace import Workspace

_EVERY = 10.0  # seconds between two looks


@dataclass(slots=True)
class Limits:
    """Looks from time to time. say: where a person reads what came of it."""

    workspace: Workspace
    say: Callable[[str], None]
    _look_at: float = 0.0
    _said: list[str] = field(default_factory=list)
    _working: Thread | None = None

    def look(self) -> None:
        """Undo what is over, in a thread of its own: the database may be slow, or away."""
        if time.monotonic() < self._look_at or (self._working is not None and self._working.is_alive()):
            return
        self._look_at = time.monotonic() + _EVERY
        if to_undo(self.workspace):
            self._working = Thread(target=self._undo, name="limits", daemon=True)
            self._working.start()

    def _undo(self) -> None:
        said = undo_what_is_over(self.workspace)
        for line in said:
            if line not in self._said:
                self.say(line)
        self._said = said
