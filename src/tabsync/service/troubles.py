"""What is wrong with a service, said once and shown to everybody; and its sign of life in the ledger."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import insert, update

from tabsync.kernel.clock import iso, now
from tabsync.kernel.errors import TabsyncError, words_of
from tabsync.kernel.step import Facts
from tabsync.ledger.open import Ledger
from tabsync.ledger.tables import service
from tabsync.schedule.services import leave_sign

BEAT = 30.0
"""Seconds between two signs of life."""

Say = Callable[[str], None]


@dataclass(slots=True)
class Troubles:
    """What is wrong at the moment, by what it is about. name: of the service; say: where a person reads it; home: where
    it is left when the ledger can't be written."""

    name: str
    say: Say
    home: Path
    started: str = field(default_factory=lambda: iso(now()))
    _known: dict[str, Facts] = field(default_factory=dict)
    _next_beat: float = 0.0

    def note(self, what: str, fact: str) -> None:
        """Note, and say once, what is wrong; "" when it is in order again."""
        known = self._known.get(what)
        if fact == (known["fact"] if known else ""):
            return
        if fact:
            self._known[what] = {"fact": fact, "since": iso(now())}
        else:
            del self._known[what]
        self.say(fact or f"{what}: in order again")
        self._next_beat = 0.0

    def fact(self, what: str) -> str:
        """What is wrong with it, "" when nothing is."""
        known = self._known.get(what)
        return str(known["fact"]) if known else ""

    def is_time(self) -> bool:
        """Whether a sign of life is due."""
        return time.monotonic() >= self._next_beat

    def beat(self, ledger: Ledger) -> None:
        """Leave a sign of life, with what is wrong: in this home, then in the ledger."""
        self._next_beat = time.monotonic() + BEAT  # not at once again when the ledger fails
        row = {
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "started_at": self.started,
            "beat_at": iso(now()),
            "facts": self._known,
        }
        leave_sign(self.home, row | {"name": self.name})
        with ledger.engine.begin() as connection:
            mine = update(service).where(service.c.name == self.name).values(**row)
            if not connection.execute(mine).rowcount:
                connection.execute(insert(service), [row | {"name": self.name}])


def trouble_of(error: Exception) -> tuple[str, str]:
    """What an error is about, and what is said of it: of this home's disk, or of the ledger."""
    if isinstance(error, OSError):
        return "home", f"the directory of the service can't be written: {error.strerror or words_of(error)}"
    if isinstance(error, TabsyncError):
        return "ledger", error.fact
    return "ledger", f"the ledger failed: {words_of(getattr(error, 'orig', None) or error)}"
