"""What is seen to beside the schedule, which it never delays.

Connection limits whose time is over are undone, and the emergency journal is taken into the ledger.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Thread

from tabsync.kernel.errors import NotRecorded
from tabsync.ledger.merge import merge, told
from tabsync.sessions.limits import to_undo
from tabsync.sessions.undo_limit import undo_what_is_over
from tabsync.workspace import Workspace

_EVERY = 10.0  # seconds between two looks


@dataclass(slots=True)
class Chores:
    """Looks from time to time. say: where a person reads what came of it."""

    workspace: Workspace
    say: Callable[[str], None]
    _look_at: float = 0.0
    _said: list[str] = field(default_factory=list)
    _working: Thread | None = None

    def look(self) -> None:
        """See to what there is, in a thread of its own: the database may be slow or away, and so may the ledger."""
        if time.monotonic() < self._look_at or (self._working is not None and self._working.is_alive()):
            return
        self._look_at = time.monotonic() + _EVERY
        limits, journal = bool(to_undo(self.workspace)), bool(self.workspace.ledger().emergency.runs())
        if limits or journal:
            self._working = Thread(target=self._see_to, args=(limits, journal), name="chores", daemon=True)
            self._working.start()

    def _see_to(self, limits: bool, journal: bool) -> None:
        if journal:
            with suppress(NotRecorded):  # the scheduler says itself that the ledger can't be written
                if merged := merge(self.workspace.ledger()):
                    self.say(told(merged))
        if limits:
            said = undo_what_is_over(self.workspace)
            for line in said:
                if line not in self._said:
                    self.say(line)
            self._said = said
