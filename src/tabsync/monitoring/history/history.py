"""What was measured, kept: one writer, the collector, and any number of readers.

A scrape is one blob while its hour is open; tidy() folds it into a chunk of each series and into points of five
minutes and of an hour. Samples are taken in the order in which they come, whatever their clock says: one that is older
than the one before it is kept where its time belongs, and folding it in later gives the same points as if it had come
in time. Nothing is interpolated, and what isn't a number is not kept.
"""

from __future__ import annotations

import contextlib
import math
import os
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from tabsync.monitoring.history.codec import Scraped, pack_scrape
from tabsync.monitoring.history.errors import is_corrupt, not_kept, unreadable
from tabsync.monitoring.history.file import SQL, move_away, open_to_read, open_to_write
from tabsync.monitoring.history.lines import Line, read_lines, read_many
from tabsync.monitoring.history.logins import Counted, Passed, read_logins, write_logins
from tabsync.monitoring.history.moments import moment_of, ticks
from tabsync.monitoring.history.sessions import SeenSession, Triple, read_sessions, write_sessions
from tabsync.monitoring.history.tidy import Tidied, tidy

Series = tuple[str, str]
"""A metric's title in lower case, and the label of one of its rows, "" where it has one row only."""

MAX_SIZE = 1 << 30
_LABEL = 1000  # characters of a label


@dataclass(slots=True)
class History:
    """The history, opened. said: what a person has to know that the file's owner found, oldest first.

    One of these belongs to one thread.
    """

    path: Path
    writes: bool
    max_size: int = MAX_SIZE
    said: list[str] = field(default_factory=list)
    _connection: sqlite3.Connection | None = None
    _inode: int = 0
    _numbers: dict[Series, int] = field(default_factory=dict)
    _seen: int = -1

    @classmethod
    def open(cls, path: Path, *, create: bool, max_size: int = MAX_SIZE) -> History:
        """Open the history.

        create: to write it, and to make it if there is none; else to read, and nothing is made: where there is no
        file, everything is empty. max_size: bytes that the file may have, with its log.
        Raises NotKept or Unreadable when it can't be opened, Refused when a newer tabsync wrote it.
        """
        found = cls(path, create, max_size)
        with found._translated():
            found._open()
        return found

    def __enter__(self) -> History:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def append(
        self,
        at: datetime,
        values: Mapping[Series, float],
        ofs: Mapping[Series, float] | None = None,
        tried: Mapping[str, str] | None = None,
    ) -> None:
        """Keep one scrape, also one in which nothing could be measured.

        values, ofs: in the base unit of the metric; what could not be measured is left out, and what isn't a finite
        number is not kept. tried: the titles of all metrics that this scrape was to measure, with why one is unknown,
        "" when it is known; see readings.split().
        Raises NotKept when it can't be written: nothing of this scrape is kept then.
        """
        finite = {(name[0].lower(), _cut(name[1])): float(value) for name, value in values.items() if _is_number(value)}
        parts = {(name[0].lower(), _cut(name[1])): float(of) for name, of in (ofs or {}).items() if _is_number(of)}
        with self._written() as connection:
            numbers = self._numbers_of(connection, finite)
            found = [Scraped(numbers[name], value, parts.get(name)) for name, value in finite.items()]
            moment = ticks(at)
            connection.execute(SQL["add_scrape"], {"at": moment, "body": pack_scrape(found)})
            connection.executemany(SQL["set_last"], [(one.series, moment, one.value, one.of) for one in found])
            reasons = [(metric.lower(), moment, _cut(why)) for metric, why in (tried or {}).items()]
            connection.executemany(SQL["set_reading"], reasons)
            connection.execute(SQL["set_state"], {"name": "last_scrape", "value": moment})

    def series(self, metric: str, label: str | None, since: datetime, until: datetime, points: int = 600) -> list[Line]:
        """A metric over time, one line for each of its labels, by label; a label without a point in it has no line.

        label: only this one; since, until: widened to whole points; points: how many at most, about.
        Raises Unreadable.
        """
        with self._read() as connection:
            asked = (metric.lower(), None if label is None else _cut(label), since, until, points)
            return read_lines(connection, *asked) if connection else []

    def many(self, names: Collection[Series], since: datetime, until: datetime, points: int) -> dict[Series, Line]:
        """The lines of several series, read in one go, as series() gives them; one without a point isn't there."""
        with self._read() as connection:
            return read_many(connection, names, since, until, points) if connection else {}

    def latest(self) -> dict[Series, tuple[datetime, float]]:
        """Of each series what came last, and when it was measured. Raises Unreadable."""
        return {name: (at, value) for name, (at, value, _) in self.latest_of().items()}

    def latest_of(self) -> dict[Series, tuple[datetime, float, float | None]]:
        """The same with what the value is a part of."""
        with self._read() as connection:
            rows = connection.execute(SQL["latest"]).fetchall() if connection else []
        return {(metric, label): (moment_of(at), value, of) for metric, label, at, value, of in rows}

    def tried(self) -> dict[str, tuple[datetime, str]]:
        """When it was last tried to measure each metric, and why it is unknown, "" when it is known."""
        with self._read() as connection:
            rows = connection.execute(SQL["readings"]).fetchall() if connection else []
        return {metric: (moment_of(at), why) for metric, at, why in rows}

    def last_scrape(self) -> datetime | None:
        """When the scrape was taken that came last; None when there was none. Raises Unreadable."""
        at = self.state("last_scrape")
        return None if at is None else moment_of(int(at))

    def state(self, name: str) -> int | str | None:
        """What the file says of itself: "last_scrape", "corrupt" (in words), "dropped_until". Raises Unreadable."""
        with self._read() as connection:
            row = connection.execute(SQL["state"], {"name": name}).fetchone() if connection else None
        return None if row is None else row[0]

    def happened(self, at: datetime, kind: str, words: str) -> None:
        """Note what a chart should show besides its values; the same again is noted once.

        kind: one word, such as "restart"; words: what a person reads. Raises NotKept.
        """
        with self._written() as connection:
            connection.execute(SQL["add_event"], {"at": ticks(at), "kind": kind, "words": _cut(words)})

    def events(self, since: datetime, until: datetime, limit: int = 200) -> list[tuple[datetime, str, str]]:
        """What was noted between two moments: when, its kind, and in words. Raises Unreadable."""
        asked = {"since": ticks(since), "until": ticks(until), "limit": limit}
        with self._read() as connection:
            rows = connection.execute(SQL["events"], asked).fetchall() if connection else []
        return [(moment_of(at), kind, words) for at, kind, words in rows]

    def saw(self, sessions: Iterable[Triple], at: datetime) -> None:
        """Note who is logged in: (role, application, address) of each session. Raises NotKept."""
        with self._written() as connection:
            write_sessions(connection, sessions, ticks(at))

    def counted(self, counted: Counted, at: datetime) -> None:
        """Note what the server has counted of its sessions, and so how many began since the look before.

        Raises NotKept.
        """
        with self._written() as connection:
            row = connection.execute(SQL["state"], {"name": "logins"}).fetchone()
            write_logins(connection, counted, str(row[0]) if row else "", ticks(at))

    def logins(self, since: datetime) -> Passed:
        """How many sessions began since the hour of a moment, and how many of them were seen. Raises Unreadable."""
        with self._read() as connection:
            return read_logins(connection, ticks(since)) if connection else Passed(0, None)

    def sessions(self, since: datetime) -> list[SeenSession]:
        """Who was seen since a moment, the newest first. Raises Unreadable."""
        with self._read() as connection:
            return read_sessions(connection, ticks(since)) if connection else []

    def tidy(self, now: datetime) -> Tidied:
        """Fold the hours that are over, and drop what is too old or too much. It can be called at any time, and be
        killed at any moment. Raises NotKept when it can't be written.
        """
        with self._reopened() as connection:
            self._numbers.clear()
            return tidy(connection, ticks(now), self.max_size)

    def _open(self) -> None:
        self._numbers.clear()
        if not self.writes:
            self._connection = open_to_read(self.path)
            return
        self._connection, said = open_to_write(self.path)
        self._inode = os.stat(self.path).st_ino  # noqa: PTH116 - as often as samples are kept
        if said:
            self._say(said)

    def _say(self, words: str) -> None:
        self.said.append(words)
        if self._connection is not None:
            self._connection.execute(SQL["set_state"], {"name": "corrupt", "value": words})

    @contextlib.contextmanager
    def _read(self) -> Iterator[sqlite3.Connection | None]:
        """A view of the file that doesn't change while it is read."""
        with self._translated():
            if self._connection is None and not self.writes:
                self._open()  # it may be there by now
            if self._connection is None:
                yield None
                return
            self._connection.execute("begin")
            try:
                yield self._connection
            finally:
                self._connection.rollback()

    @contextlib.contextmanager
    def _written(self) -> Iterator[sqlite3.Connection]:
        """A transaction of its own."""
        with self._reopened() as connection:
            connection.execute("begin immediate")
            try:
                yield connection
                connection.execute("commit")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    connection.rollback()
                self._numbers.clear()  # some of them may be of series that were not kept
                raise

    @contextlib.contextmanager
    def _reopened(self) -> Iterator[sqlite3.Connection]:
        """The connection, of the file that is there: one that was deleted under us would take samples to nowhere."""
        with self._translated():
            if self._connection is None or self._is_gone():
                self.close()
                self._open()
            assert self._connection is not None  # noqa: S101 - _open() made it
            yield self._connection

    def _is_gone(self) -> bool:
        try:
            return os.stat(self.path).st_ino != self._inode  # noqa: PTH116
        except FileNotFoundError:
            return True

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            if not self.writes:
                self.close()
                raise unreadable(error) from None
            if is_corrupt(error):
                self._begin_anew()
            raise not_kept(error) from None

    def _begin_anew(self) -> None:
        """Move a file away that turned out to be corrupt; the next call makes a new one."""
        self.close()
        with contextlib.suppress(OSError):
            words = move_away(self.path)
            self._connection, _ = open_to_write(self.path)
            self._inode = os.stat(self.path).st_ino  # noqa: PTH116
            self._say(words)

    def _numbers_of(self, connection: sqlite3.Connection, wanted: Mapping[Series, float]) -> dict[Series, int]:
        """The numbers of series in the file; those that are new get one."""
        changed = connection.execute("pragma data_version").fetchone()[0]
        if not self._numbers or changed != self._seen:  # another process may have dropped some
            rows = connection.execute(SQL["all_series"]).fetchall()
            self._numbers, self._seen = {(metric, label): number for number, metric, label in rows}, changed
        for metric, label in wanted:
            if (metric, label) not in self._numbers:
                added = connection.execute(SQL["add_series"], {"metric": metric, "label": label})
                self._numbers[metric, label] = int(added.lastrowid or 0)
        return self._numbers


def _is_number(value: float) -> bool:
    return math.isfinite(value)


def _cut(label: str) -> str:
    """A label as it is kept: SQLite takes no half of a surrogate pair, and nobody reads a longer one."""
    return label[:_LABEL].encode(errors="replace").decode()
