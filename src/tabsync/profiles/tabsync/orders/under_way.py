"""Orders under way when a pause is made: which transactions may still commit one, and when it is known that none does.

An order takes a lock on the table of orders, then one on its restaurant's row, then reads the pauses; it holds both
locks to the end of its transaction. So no order of before is left when every transaction that was writing orders has
ended, or when the restaurant's row was seen without a lock. A transaction that keeps its snapshot fails at the gate,
once that is closed. This file is pure: drain.py looks.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from tabsync.kernel.clock import iso, local
from tabsync.kernel.plain import in_one_line
from tabsync.kernel.step import Facts


@dataclass(frozen=True, slots=True)
class Writer:
    """A transaction that writes orders.

    number: None before it wrote anything; pid: None where it is prepared, as gid; since: None where that is hidden.
    """

    transaction: str
    number: str | None
    pid: int | None
    gid: str | None
    wrote_restaurants: bool
    application: str
    user: str
    since: datetime | None

    @property
    def key(self) -> tuple[str, int | None]:
        """What no other transaction of a process has."""
        return self.transaction, self.pid

    @property
    def who(self) -> str:
        """Who it is."""
        if self.pid is None:
            return f"the prepared transaction {in_one_line(self.gid)}" if self.gid else "a transaction being prepared"
        return f"{self.pid}, {in_one_line(self.application or self.user) or 'no name'}"

    @property
    def began(self) -> str:
        """Since when."""
        return local(iso(self.since)) if self.since else "unknown: pg_monitor sees it"

    def to_json(self) -> Facts:
        """As a fact."""
        return asdict(self) | {"since": iso(self.since) if self.since else None}


def from_json(data: Facts) -> Writer:
    """The inverse of to_json."""
    return Writer(**data | {"since": datetime.fromisoformat(data["since"]) if data["since"] else None})


class Waited:
    """What is still waited for."""

    def __init__(self, first: Sequence[Writer], restaurants: Collection[str], *, everywhere: bool) -> None:
        """first: who was writing once the pause was there; restaurants: whose rows are looked at.

        everywhere: also a restaurant counts that only one of these transactions sees, as it has added it.
        """
        self._first = list(first)
        self._added = [one for one in first if one.wrote_restaurants] if everywhere else []
        self._locked = set(restaurants)
        self._rows_are_seen = True

    @property
    def looked_at(self) -> list[str]:
        """The restaurants whose rows are still to be seen without a lock, where that would save waiting for anybody."""
        return sorted(self._locked) if self._rows_are_seen and self._first else []

    def rows_are_hidden(self) -> None:
        """From now on: this role may not lock the rows of restaurants, so every transaction is waited for."""
        self._rows_are_seen = False

    def seen_free(self, restaurants: Collection[str]) -> None:
        """The rows of these restaurants had no lock."""
        self._locked.difference_update(restaurants)

    def still(self, now: Sequence[Writer]) -> list[Writer]:
        """Those that may still commit an order. now: who is writing now."""
        free = self._rows_are_seen and not self._locked
        before = self._added if free else self._first
        return [one for one in now if any(_may_be(one, each) for each in before)]


def _may_be(one: Writer, before: Writer) -> bool:
    """Whether it is the transaction that was seen before, which may have been prepared since: it keeps only its number.

    One that had no number when it was seen had not locked its restaurant yet, so it will see the pause. One without
    a process or a number is just being prepared.
    """
    return one.key == before.key or (one.pid is None and one.number in (None, before.number))
