"""What keeps WAL from arriving, in words, and when to try again."""

from __future__ import annotations

import errno
import re
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tabsync.kernel.errors import FailedPartway, TabsyncError
from tabsync.kernel.step import Facts
from tabsync.kernel.units import human_bytes

if TYPE_CHECKING:
    from tabsync.stores.store import Store

_FIGURES = re.compile(r"\d+(\.\d+)?")
_LONGEST_WAIT = 30.0  # seconds between two attempts to reach a server or a store that is gone


@dataclass(frozen=True, slots=True)
class Trouble:
    """What is wrong, in one line, and what to do about it."""

    fact: str
    hint: str = "tabsync wal status"


class Troubles:
    """What is wrong at the moment, each by what it is about."""

    def __init__(self) -> None:
        self._known: dict[str, Trouble] = {}

    def __contains__(self, what: str) -> bool:
        return what in self._known

    def note(self, what: str, trouble: Trouble | None) -> None:
        """Something is wrong; None: no longer."""
        if trouble:
            self._known[what] = trouble
        else:
            self._known.pop(what, None)

    @property
    def facts(self) -> list[str]:
        """Each in one line."""
        return [one.fact for one in self._known.values()]

    def to_json(self) -> list[Facts]:
        """Each with about, what and do."""
        return [{"about": about, "what": one.fact, "do": one.hint} for about, one in self._known.items()]

    @property
    def kinds(self) -> tuple[str, ...]:
        """What is wrong, without figures: that those change is no news."""
        return tuple(sorted(_FIGURES.sub("", fact) for fact in self.facts))

    @property
    def words(self) -> str:
        """Everything in one line, and each hint in one; "" when nothing is wrong."""
        hints = dict.fromkeys(f"\nhint: {one.hint}" for one in self._known.values())
        return "; ".join(self.facts) + "".join(hints)

    def raise_first(self) -> None:
        """Raise FailedPartway with what was noted first, if anything is."""
        for trouble in self._known.values():
            raise FailedPartway(trouble.fact, trouble.hint)


class Retry:
    """When to try again what failed: after 1, 2, 4 ... 30 seconds."""

    def __init__(self) -> None:
        self._wait, self._next = 1.0, 0.0

    def due(self) -> bool:
        """Whether the wait is over."""
        return time.monotonic() >= self._next

    def failed(self) -> None:
        """Wait, longer than last time."""
        self._next = time.monotonic() + self._wait
        self._wait = min(self._wait * 2, _LONGEST_WAIT)

    def worked(self) -> None:
        """Begin with short waits again."""
        self._wait, self._next = 1.0, 0.0


def no_room(directory: Path, needed: int) -> Trouble | None:
    """The trouble when the disk that WAL is received to has less room than is needed, in bytes; None when it has it."""
    free = shutil.disk_usage(directory).free
    if free >= needed:
        return None
    short = f"the disk of {directory} has {human_bytes(free)} free, too little for a segment"
    return Trouble(
        f"{short}: the server must keep the rest",
        "free some space there before the server's disk is full too; receiving then continues by itself",
    )


def of_store(error: TabsyncError | OSError, store: Store) -> Trouble:
    """What kept a round of storing from its end. A full disk is named, and how much is free on it."""
    cause = error if isinstance(error, OSError) else error.__cause__
    if isinstance(cause, OSError) and cause.errno == errno.ENOSPC:
        # What the store can't write comes in its own words; what is left is where files are packed before they go.
        packing = isinstance(error, OSError)
        where = tempfile.gettempdir() if packing else store.url
        free = shutil.disk_usage(where).free if packing else store.free_bytes()
        left = "" if free is None else f", {human_bytes(free)} free"
        return Trouble(
            f"WAL can't be written to the store: no space left on the disk of {where}{left}",
            "free some space there; until then WAL waits here, then on the server, and none is lost",
        )
    if isinstance(error, TabsyncError):
        return Trouble(f"WAL can't be written to the store: {error.fact}", error.hint or "tabsync wal status")
    return Trouble(f"WAL can't be written to the store: {error}")
