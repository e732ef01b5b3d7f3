"""What a comparison of rows works with, and what comes of a table."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from tabsync.backups.restore.diff.digest import Hashing
from tabsync.backups.restore.diff.merge import Found
from tabsync.backups.restore.diff.sides import Side
from tabsync.backups.restore.diff.tables import Pair, Part

_LOOK = 0.2  # seconds between two reports of progress

T = TypeVar("T")


class Unknown(Exception):
    """The rows of a table can't be compared; its text says why."""


@dataclass(slots=True)
class Compared:
    """What came of a table. new, old: its rows; reason: why it is unknown, "" where it isn't."""

    pair: Pair
    new: int = 0
    old: int = 0
    found: Found = field(default_factory=Found)
    reason: str = ""
    hashing: Hashing | None = None
    parts: tuple[list[Part], ...] = ([], [])
    notes: list[str] = field(default_factory=list)

    @property
    def same(self) -> int:
        """Rows that both have."""
        return self.new - self.found.only_new - self.found.different

    @property
    def is_same(self) -> bool:
        """Whether all of them are, with all their columns."""
        found = self.found
        return not (self.reason or self.pair.alone or found.only_new or found.only_old or found.different)


@dataclass(frozen=True, slots=True)
class Work:
    """What a comparison of rows works with. samples: how many keys of each kind are kept; place: for files of ours.

    read: told how many bytes of a side were read; look: called now and then while the servers work.
    """

    new: Side
    old: Side
    samples: int
    place: Path
    read: Callable[[Side, int], None]
    look: Callable[[], None]

    @property
    def sides(self) -> tuple[Side, Side]:
        """Both."""
        return self.new, self.old


def at_once(work: Work, task: Callable[[Side], T]) -> tuple[T, T]:
    """Do something on both sides at the same time, looking around meanwhile. An error of one ends the other."""
    with ThreadPoolExecutor(max_workers=2, thread_name_prefix="diff") as pool:
        running = [pool.submit(task, one) for one in work.sides]
        try:
            going = set(running)
            while going:
                ended, going = wait(going, timeout=_LOOK, return_when=FIRST_COMPLETED)
                for one in ended:
                    one.result()
                work.look()
        except BaseException:
            for side, one in zip(work.sides, running, strict=True):
                if not one.done():
                    side.cancel()
            raise
        return running[0].result(), running[1].result()
