"""The rows of one table that both databases have: digests by bucket from both sides at once, then what they hide."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import psycopg

from tabsync.backups.restore.diff import merge
from tabsync.backups.restore.diff.digest import Hashing
from tabsync.backups.restore.diff.merge import Fields, Found
from tabsync.backups.restore.diff.sides import SQL, OutOfTime, Side
from tabsync.backups.restore.diff.tables import Pair, Part, parts_of
from tabsync.backups.restore.diff.unmatched import Unmatched, match
from tabsync.backups.restore.diff.work import Compared, Unknown, Work, at_once
from tabsync.copies.row_text import ask
from tabsync.kernel.errors import Refused, words_of

_SLICE = 32_768
"""Blocks that one statement reads, 256 MB: so often a person sees that it goes on. Of a very large table more."""
_MOST_SLICES = 64
_ROWS_IN_BUCKET = 512
_BLOCK = 8_192
_ROW = 100  # bytes: only to choose how many buckets
_MOST_BUCKETS = 65_536


def compare_rows(work: Work, pair: Pair) -> Compared:
    """Compare the rows of a table. What can't be is unknown, with the reason; only what ends the whole is raised."""
    done = Compared(pair, notes=list(pair.notes))
    try:
        _compare(work, done)
    except (Unknown, OutOfTime) as error:
        done.reason = str(error)
    except Refused as error:
        done.reason = error.fact
    except psycopg.Error as error:
        if any(side.connection.broken for side in work.sides):
            raise
        late = isinstance(error, psycopg.errors.QueryCanceled) and work.new.until <= time.monotonic()
        done.reason = str(OutOfTime()) if late else words_of(error)
    if done.reason:
        done.found = Found()
    return done


def _compare(work: Work, done: Compared) -> None:
    pair = done.pair
    for side in work.sides:
        side.allow()
    done.parts = tuple(_readable(work, done, side) for side in work.sides)
    blocks = max(sum(one.blocks for one in parts) for parts in done.parts)
    encodings = {side.connection.info.parameter_status("server_encoding") for side in work.sides}
    done.hashing = hashing = Hashing(pair, _buckets_for(blocks), recode=len(encodings) > 1)
    new, old = sums = at_once(work, lambda side: _sums(work, side, hashing, done.parts[side is work.old]))
    done.new, done.old = (sum(one[0] for one in found.values()) for found in sums)
    differing = {bucket for bucket in new.keys() | old.keys() if new.get(bucket) != old.get(bucket)}
    if differing:
        _merge(work, done, hashing, sorted(differing))
        if done.old - done.found.only_old - done.found.different != done.same:
            raise Unknown("the counts of the two sides contradict each other")
    for side, parts in _both(work, done):
        _check_files(side, parts)


def _both(work: Work, done: Compared) -> list[tuple[Side, list[Part]]]:
    return list(zip(work.sides, done.parts, strict=True))


def _readable(work: Work, done: Compared, side: Side) -> list[Part]:
    """The parts of a table on one side. Foreign partitions are left out, which is said."""
    table = done.pair.new if side is work.new else done.pair.old
    found = parts_of(side.connection, table)
    for one in found:
        if one.kind == "f":
            raise Unknown(f"its partition {one.relation} in {side.word.upper()} is on another server")
        if not one.may_read:
            raise Unknown(f"this user may not read its partition {one.relation} in {side.word.upper()}")
        if one.rls:
            raise Unknown(f"policies would hide rows of its partition {one.relation} in {side.word.upper()}")
    return found


def _buckets_for(blocks: int) -> int:
    wanted = blocks * _BLOCK // _ROW // _ROWS_IN_BUCKET
    return min(_MOST_BUCKETS, 1 << max(wanted, 1).bit_length())


def _sums(work: Work, side: Side, hashing: Hashing, parts: Sequence[Part]) -> dict[int, tuple[int, int]]:
    """The digests of all buckets of one side, added up over its parts and their slices."""
    total: dict[int, tuple[int, int]] = {}
    for part in parts:
        for first, end in _slices(part):
            side.allow()
            for row in ask(side.connection, hashing.sums(part, first, end)):
                bucket, count, digest = (int(value or 0) for value in row)
                before = total.get(bucket, (0, 0))
                total[bucket] = (before[0] + count, before[1] + digest)
            work.read(side, ((part.blocks if end is None else end) - first) * _BLOCK)
    return total


def _slices(part: Part) -> Iterator[tuple[int, int | None]]:
    """Ranges of blocks; the last is open, since the table may grow."""
    step = max(_SLICE, -(-part.blocks // _MOST_SLICES))
    starts = list(range(0, part.blocks, step)) if part.heap else []
    starts = starts or [0]
    yield from zip(starts, [*starts[1:], None], strict=True)


def _check_files(side: Side, parts: Sequence[Part]) -> None:
    """See that no part was truncated or rewritten since the snapshot: then it would look empty to us.

    https://www.postgresql.org/docs/current/mvcc-caveats.html
    """
    for part in parts:
        row = side.connection.execute(SQL["file"], {"oid": part.oid}).fetchone()
        if row is None or (part.file and row[0] != part.file):
            raise Unknown(f"{part.relation} was truncated or rewritten in {side.word.upper()} meanwhile: run it again")


def _merge(work: Work, done: Compared, hashing: Hashing, differing: Sequence[int]) -> None:
    """Read the rows of the buckets that differ, and tell which they are."""
    unmatched = Unmatched(work.place) if done.pair.key and not done.pair.exact else None
    add = _Adding(done.found, hashing, work.samples, unmatched)
    with work.new.connection.cursor() as one, work.old.connection.cursor() as other:
        for side in work.sides:
            side.allow()
        queries = [hashing.rows(parts, differing) for parts in done.parts]
        with one.copy(queries[0]) as new, other.copy(queries[1]) as old:
            streams = merge.buckets(_looked(new, work.look)), merge.buckets(_looked(old, work.look))
            for here, there in merge.side_by_side(*streams):
                add.bucket(here, there)
    if unmatched is not None:
        match(work, done, unmatched)


def _looked(chunks: object, look: Callable[[], None]) -> Iterator[bytes]:
    for number, chunk in enumerate(chunks):  # type: ignore[arg-type, var-annotated]
        if number % 100 == 0:
            look()
        yield chunk


@dataclass(frozen=True, slots=True)
class _Adding:
    """Adds what is found in each bucket to what was found of the table. keep: how many keys of each kind."""

    found: Found
    hashing: Hashing
    keep: int
    unmatched: Unmatched | None

    def bucket(self, here: list[bytes], there: list[bytes]) -> None:
        """The rows of a bucket on both sides."""
        found = self.found
        if not self.hashing.pair.key:
            mine, theirs = merge.as_wholes(here, there)
            found.only_new += mine.total()
            found.only_old += theirs.total()
            for kept, rows in ((found.first_new, mine), (found.first_old, theirs)):
                kept += [(sha.decode(),) for sha in sorted(rows)[: self.keep - len(kept)]]
            return
        left, right, both = merge.by_key(here, there)
        found.different += len(both)
        self._keep(found.first_different, both)
        if self.unmatched is not None:  # the same key may be written otherwise, in another bucket
            self.unmatched.add(*([self._fields(one) for one in keys] for keys in (left, right)))
            return
        found.only_new += len(left)
        found.only_old += len(right)
        self._keep(found.first_new, left)
        self._keep(found.first_old, right)

    def _keep(self, kept: list[Fields], keys: Sequence[bytes]) -> None:
        if len(kept) < self.keep:
            kept += [self._fields(one) for one in sorted(keys)[: self.keep - len(kept)]]

    def _fields(self, key: bytes) -> Fields:
        return merge.fields(key, plain=self.hashing.plain_key)
