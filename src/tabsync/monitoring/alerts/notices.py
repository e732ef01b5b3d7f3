"""Notices: what people are told that is no alert. Nothing fires, nobody has to acknowledge, and it is over at once.

A notice is a row beside the episodes, so that its messages go the same way as theirs: written down before they are
sent, and again under the same id when a process was killed in between. Its id is made of what it is about and its day:
whoever writes it twice writes it once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Literal

from tabsync.kernel.clock import parse_iso
from tabsync.ledger.open import Ledger
from tabsync.monitoring.alerts.episode import Episode, Key, State
from tabsync.monitoring.alerts.keep import row_of

if TYPE_CHECKING:
    from sqlalchemy import Connection

HIDDEN, REPORT = "hidden", "report"
_MOST, _LONGEST = 60, 400  # lines, and characters of one


@dataclass(frozen=True, slots=True)
class Notice:
    """One notice. day: of which it is; text: what it says in a line; lines: the rest of it."""

    kind: Literal["hidden", "report"]
    subject: str
    day: date
    at: datetime
    text: str
    lines: tuple[str, ...]

    @property
    def id(self) -> str:
        """The same for everybody who would write it."""
        return hashlib.sha256(f"{self.kind} {self.subject} {self.day}".encode()).hexdigest()[:12]

    def as_episode(self) -> Episode:
        """As the ledger keeps it: it has ended, and never fired."""
        lines = [line if len(line) <= _LONGEST else f"{line[:_LONGEST]}..." for line in self.lines[:_MOST]]
        if len(self.lines) > _MOST:
            lines.append(f"and {len(self.lines) - _MOST} lines more")
        return Episode(
            id=self.id,
            subject=self.subject,
            key=Key(self.kind, self.kind),
            state=State.ENDED,
            level="warning",
            began_at=self.at,
            seen_at=self.at,
            ended_at=self.at,
            facts={"text": self.text[:_LONGEST], "lines": lines},
        )


def write_notice(ledger: Ledger, notice: Notice, check: Callable[[Connection], None]) -> bool:
    """Write it down; False when it is there already.

    check: raises when this process may not write any more; called in the same transaction.
    """
    from sqlalchemy import insert, select

    from tabsync.ledger.tables import episode

    with ledger.writing() as connection:
        check(connection)
        if connection.execute(select(episode.c.id).where(episode.c.id == notice.id)).first() is not None:
            return False
        connection.execute(insert(episode).values(**row_of(notice.as_episode()), acked_at=None, acked_by=""))
    return True


def last_notice(ledger: Ledger, kind: str, subject: str) -> datetime | None:
    """When the newest of a kind was written; None when there is none."""
    found = ledger.read("last_notice", kind=kind, subject=subject)
    return parse_iso(found[0]["began_at"]) if found else None
