"""Who keeps the schedule, collects, or tells: one process at a time for each.

With a SQLite ledger all services are on one machine, and the lock of a directory is the lease: the kernel frees it when
its holder dies (decision 0003). With PostgreSQL it is a row, by that server's clock, with a fencing number that grows
whenever the lease changes hands; whoever starts an occurrence checks in the same transaction that it still holds.

There, too, the services of one home have the lock: whoever has it takes over from a dead one of the same home at once.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tabsync.kernel.errors import Refused
from tabsync.ledger.open import Ledger
from tabsync.ledger.sqlite_file import sqlite_path
from tabsync.system.boot import boot_id
from tabsync.system.claims import Claim, claim

if TYPE_CHECKING:
    from sqlalchemy import Connection

TTL = 20
"""Seconds after which a lease that nobody renewed may be taken over."""

_TAKE = """
insert into lease as mine (name, holder, fence, until)
values (:name, :holder, 1, to_char((clock_timestamp() + make_interval(secs => :ttl)) at time zone 'UTC', :form))
on conflict (name) do update
   set fence = mine.fence + case when mine.holder = excluded.holder then 0 else 1 end,
       holder = excluded.holder,
       until = excluded.until
 where mine.holder = excluded.holder
    or mine.until < to_char(clock_timestamp() at time zone 'UTC', :form)
    or (split_part(mine.holder, ' ', 2) = split_part(excluded.holder, ' ', 2)
        and split_part(excluded.holder, ' ', 2) <> '')
returning fence
"""
_STILL = "select fence from lease where name = :name and holder = :holder and fence = :fence for update"
_FORM = "YYYY-MM-DD HH24:MI:SS.US"


class LostLease(Refused):
    """Another process has the lease by now."""


@dataclass(slots=True)
class Lease:
    """The lease of one process. holder: unique to it; place: the home, for the lock; name: what it is the lease of."""

    ledger: Ledger
    holder: str
    place: Path
    name: str = "scheduler"
    fence: int = 0
    _claim: Claim | None = field(default=None, repr=False)
    _row: str = ""

    def take(self) -> bool:
        """Take or renew it; False when another service has it."""
        if self._claim is None:
            file = sqlite_path(self.ledger.url)  # two homes may have one: the lock is where the ledger is
            self._claim = claim((file.parent if file else self.place) / self.name)
        if self._claim is None or self.ledger.is_sqlite:
            return self._claim is not None
        from sqlalchemy import text

        values = {"name": self.name, "holder": self._signed(self._claim), "ttl": TTL, "form": _FORM}
        with self.ledger.writing() as connection:
            found = connection.execute(text(_TAKE), values).scalar()
        self.fence = int(found or 0)
        return found is not None

    def check(self, connection: Connection) -> None:
        """See, within a transaction, that it still holds. Raises LostLease."""
        if self.ledger.is_sqlite:
            return
        from sqlalchemy import text

        values = {"name": self.name, "holder": self._row, "fence": self.fence}
        if connection.execute(text(_STILL), values).scalar() is None:
            raise LostLease(f"another process is the {self.name} by now", "to see which: tabsync schedule list")

    def release(self) -> None:
        """Give it up, so that another one needn't wait."""
        try:
            if not self.ledger.is_sqlite and self.fence:
                from sqlalchemy import text

                with self.ledger.writing() as connection:
                    connection.execute(
                        text("update lease set until = '' where name = :name and holder = :holder"),
                        {"name": self.name, "holder": self._row},
                    )
        finally:
            if self._claim is not None:
                self._claim.release()
                self._claim = None

    def _signed(self, held: Claim) -> str:
        """The holder with what the lock is: one file, as this kernel knows it. Two hosts may have the same name, two
        containers the same path; then, or without such an id, only time shows that the other is dead."""
        if not self._row:
            lock = os.fstat(held.fileno())
            place = f"{boot_id()}:{lock.st_dev}:{lock.st_ino}" if boot_id() else ""
            self._row = f"{self.holder.replace(' ', '_')} {place}".strip()
        return self._row
