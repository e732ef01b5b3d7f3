"""The local directory that pg_receivewal writes to, and how its files go into the store."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from tabsync.backups.wal.archive import check_segment, store_file, store_partial
from tabsync.backups.wal.names import (
    OTHERS,
    SEGMENT,
    Partial,
    Segment,
    folder,
    partial_name,
    partial_stored,
    segment_named,
    stored_name,
    whole_stored,
)
from tabsync.kernel.errors import ProblemFound
from tabsync.stores.store import Store

_PAGE = 8192
_PARTIAL = ".partial"


@dataclass(frozen=True, slots=True)
class Spool:
    """Where WAL waits for the store. memo: see archive.store_file."""

    directory: Path
    system_identifier: str
    store: Store

    @property
    def memo(self) -> Path:
        """The note of what is being stored."""
        return self.directory / "storing"

    def finished(self) -> list[Path]:
        """Whole segments and histories, oldest first."""
        names = (
            path for path in self.directory.iterdir() if SEGMENT.fullmatch(path.name) or OTHERS.fullmatch(path.name)
        )
        return sorted(names, key=lambda path: (not path.name.endswith(".history"), path.name))

    def open_segment(self) -> Path | None:
        """The segment that is being written, None when there is none."""
        return next(iter(sorted(self.directory.glob(f"*{_PARTIAL}"), reverse=True)), None)

    def bytes(self) -> int:
        """What waits here, in bytes."""
        found = 0
        for path in self.finished():
            with contextlib.suppress(FileNotFoundError):  # it went into the store since it was listed
                found += path.stat().st_size
        return found

    def drop_short(self, size: int) -> None:
        """Delete an open segment that never got its size, in bytes: pg_receivewal refuses to go on with it.

        It fills a new one with zeros before it writes to it, and leaves that lying when the disk is full before its
        end. Whatever is in an open segment, the slot still keeps: https://www.postgresql.org/docs/current/app-pgreceivewal.html
        """
        for path in self.directory.glob(f"*{_PARTIAL}"):
            if 0 < path.stat().st_size < size:
                path.unlink()

    def leave_other_timelines(self, timeline: int) -> None:
        """Delete the open segments of timelines that the server isn't on, once the store has them as far as they go.

        pg_receivewal would ask the server to go on with them. What they have in common with the server's timeline, the
        slot still keeps.
        """
        for path in self.directory.glob(f"*{_PARTIAL}"):
            name = path.name.removesuffix(_PARTIAL)
            if not SEGMENT.fullmatch(name) or int(name[:8], 16) == timeline:
                continue
            known = max((one for one in self._partials(name) if one.bytes), key=_order, default=None)
            if known is not None and (size := valid_bytes(path)) > known.bytes:
                more = Partial(name, size, known.until)
                store_partial(self.store, self.system_identifier, path, more)
                self._forget_partials(name, but=more)
            path.unlink()

    def send(self, path: Path) -> None:
        """Store a finished file, then delete it here, and in the store what there was of it while it was open.

        Raises ProblemFound when it isn't of this cluster, or isn't what its name says.
        """
        if SEGMENT.fullmatch(path.name):
            found = check_segment(path).system_identifier
            if found != self.system_identifier:
                raise ProblemFound(
                    f"{path} belongs to cluster {found}, but the server is {self.system_identifier}",
                    f"move {self.directory} away, or give each cluster its own --slot",
                )
        store_file(self.store, self.system_identifier, path, self.memo)
        self._forget_partials(path.name)
        path.unlink()

    def flush(self, until: datetime, after: str, size: int) -> Partial | None:
        """Store the open segment as far as it is written, if only to say until when that is everything.

        until: everything that was committed by then is written, by the server's clock. after: the last whole segment;
        when none is open, the one after it has nothing in it yet. size: of a segment. None when nothing can be said.
        """
        path = self.open_segment()
        if path is None and not after:
            return None
        try:
            if path is None:
                last = segment_named(after, size)
                partial = Partial(Segment(last.timeline, last.number + 1).name(size), 0, until)
            else:
                partial = Partial(path.name.removesuffix(_PARTIAL), valid_bytes(path), until)
            store_partial(self.store, self.system_identifier, path, partial)
        except FileNotFoundError:
            if path is not None and not path.exists():
                return None  # it was finished in this moment, and goes with the others next time
            raise
        self._forget_partials(partial.segment, but=partial)
        return partial

    def _partials(self, segment: str) -> list[Partial]:
        place = stored_name(self.system_identifier, segment).rpartition("/")[0]
        found = (partial_stored(one.name) for one in self.store.files(place))
        return [one for one in found if one is not None and one.segment == segment]

    def _forget_partials(self, segment: str, but: Partial | None = None) -> None:
        for one in self._partials(segment):
            if but is None or _order(one) < _order(but):
                self.store.delete_file(partial_name(self.system_identifier, one))


def last_whole(store: Store, system_identifier: str) -> str:
    """The last whole segment of a cluster in the store, on its newest timeline; "" when there is none."""
    found = (whole_stored(one.name) for one in store.files(folder(system_identifier)))
    return max(filter(None, found), default="")


def _order(partial: Partial) -> tuple[int, datetime]:
    return partial.bytes, partial.until.replace(microsecond=0)


def valid_bytes(path: Path) -> int:
    """How far a segment is written, in whole pages: pg_receivewal fills the rest with zeros.

    It is read from its end: what lies before the last page that holds something was written before it.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        for start in range(size - _PAGE, -1, -_PAGE):
            file.seek(start)
            if file.read(_PAGE).strip(b"\0"):
                return start + _PAGE
    return 0
