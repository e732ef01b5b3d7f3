"""One thing that may have changed: it did, it did not, or that is unknown, with the reason. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from tabsync.kernel.clock import iso
from tabsync.kernel.step import Facts


class State(StrEnum):
    """What is known of it."""

    CHANGED = "changed"
    UNKNOWN = "unknown"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Change:
    """A kind of change. at: when, None where that is unknown or it did not happen; text: what, or why it is unknown."""

    what: str
    state: State
    text: str
    at: datetime | None = None

    def to_json(self) -> Facts:
        """It for programs."""
        return {
            "what": self.what,
            "state": self.state.value,
            "at": iso(self.at) if self.at else None,
            "text": self.text,
        }


def changed(what: str, at: datetime | None, text: str) -> Change:
    """It did change."""
    return Change(what, State.CHANGED, text, at)


def nothing(what: str, text: str) -> Change:
    """It did not. text: what was looked at."""
    return Change(what, State.NOTHING, text)


def unknown(what: str, why: str) -> Change:
    """Nobody can say."""
    return Change(what, State.UNKNOWN, why)
