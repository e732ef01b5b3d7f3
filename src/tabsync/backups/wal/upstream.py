"""What the server says of its WAL while it is received: how far it reaches, what has come of it, how much it keeps."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import psycopg
from psycopg.rows import dict_row

from tabsync.backups.physical.base import lsn, lsn_text
from tabsync.backups.wal.names import written_up_to
from tabsync.backups.wal.slot import SQL, Slot, read_slot
from tabsync.backups.wal.trouble import Retry, Trouble, Troubles
from tabsync.kernel.errors import FailedPartway, TabsyncError
from tabsync.kernel.step import Facts
from tabsync.kernel.units import human_bytes
from tabsync.postgres.connect import Connection

if TYPE_CHECKING:
    from tabsync.workspace import Workspace

_SAMPLE = 0.5  # seconds between two questions to the server
_NOTICES = 0.2  # seconds in which the server notices the end of its receiver


@dataclass(frozen=True, slots=True)
class Options:
    """See receive.plan_receive."""

    slot: str
    flush: float
    budget: int
    drop_over: int | None


class Upstream:
    """The server, asked twice a second; it is asked again by itself after it was gone.

    covered: what was committed by then is written here; written: the WAL position until which it is, -1 while unknown;
    size: of a segment, bytes; timeline: that the server is on; both 0 while it wasn't asked.
    end_receiving: ends pg_receivewal, before its slot is dropped.
    """

    def __init__(
        self, workspace: Workspace, options: Options, troubles: Troubles, end_receiving: Callable[[], None]
    ) -> None:
        self._workspace, self._options, self._troubles = workspace, options, troubles
        self._end_receiving = end_receiving
        self._connection: Connection | None = None
        self._samples: deque[tuple[int, datetime]] = deque(maxlen=3600)
        self._asking, self._next = Retry(), 0.0
        self.covered: datetime | None = None
        self.written, self.size, self.timeline = -1, 0, 0

    def close(self) -> None:
        """End the session."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def ask(self) -> bool:
        """Ask how far its WAL reaches and what we have of it, when it is time; whether pg_receivewal was seen at work.

        Raises FailedPartway when the slot was dropped because it kept too much.
        """
        if time.monotonic() < self._next or not self._asking.due():
            return False
        self._next = time.monotonic() + _SAMPLE
        try:
            if self._connection is None:
                self._connection = self._workspace.connect("wal")
            with self._connection.cursor(row_factory=dict_row) as cursor:
                row = cursor.execute(SQL["progress"], {"slot": self._options.slot}).fetchone() or {}
            slot = read_slot(self._connection, self._options.slot)
        except (TabsyncError, psycopg.Error):
            self.close()
            self._asking.failed()
            return False
        self._asking.worked()
        self._take(row)
        self._watch(slot)
        return bool(row["written_lsn"])

    def advance(self, position: int) -> None:
        """Tell the server until which WAL position the store has everything."""
        if self._connection is not None:
            with contextlib.suppress(psycopg.Error):
                arguments = {"slot": self._options.slot, "lsn": lsn_text(position)}
                self._connection.execute(SQL["advance"], arguments)

    def _take(self, row: Facts) -> None:
        if row["timeline"] != self.timeline:  # another server answers there: its positions are others
            self._samples.clear()
        self.size, self.timeline = row["segment_size"], row["timeline"]
        self._samples.append((written_up_to(lsn(row["lsn"]), row["segment_size"]), row["time"]))
        if row["written_lsn"]:
            self.written = lsn(row["written_lsn"])
            while self._samples and self._samples[0][0] <= self.written:
                self.covered = self._samples.popleft()[1]

    def _watch(self, slot: Slot | None) -> None:
        """Note that the slot is lost, or keeps more than it may; drop it when it keeps far more."""
        name, over = self._options.slot, self._options.drop_over
        if slot is None or slot.wal_status == "lost":
            gap = f"slot {name} was dropped or has lost WAL: the archive has a gap from here on"
            self._troubles.note("slot", Trouble(gap))
            return
        retained = slot.retained_bytes
        if over is not None and retained is not None and retained > over:
            self._end_receiving()
            if self._connection is not None:
                time.sleep(_NOTICES)
                self._connection.execute(SQL["drop_slot"], {"slot": name})
            raise FailedPartway(
                f"slot {name} kept {human_bytes(retained)} of WAL and was dropped: the archive has a gap",
                "repair the store, start again, and take a new base backup: tabsync backup take physical",
            )
        much = retained is not None and retained > self._options.budget
        kept = f"the server keeps {human_bytes(retained or 0)} of WAL for slot {name}"
        self._troubles.note("slot", Trouble(kept) if much else None)
