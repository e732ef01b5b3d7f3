"""Keys that are written in several ways: those that met nobody as text are looked up by the index's own operators."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from tabsync.backups.restore.diff.digest import by_key
from tabsync.backups.restore.diff.merge import Fields
from tabsync.backups.restore.diff.sides import Side
from tabsync.backups.restore.diff.tables import Pair, Part
from tabsync.backups.restore.diff.work import Compared, Unknown, Work
from tabsync.backups.restore.rows.shape import shape_of
from tabsync.copies.row_text import BATCH, ask, read_lines


class Unmatched:
    """Keys that are only on one side as text, on disk: there may be many, and both sessions are busy meanwhile."""

    def __init__(self, place: Path) -> None:
        self.new, self.old = place / "only-new.jsonl", place / "only-old.jsonl"
        for path in (self.new, self.old):
            path.unlink(missing_ok=True)
            path.touch(mode=0o600)

    def add(self, new: Sequence[Fields], old: Sequence[Fields]) -> None:
        """Note some."""
        for path, keys in ((self.new, new), (self.old, old)):
            if keys:
                with path.open("a", encoding="ascii") as file:
                    file.writelines(json.dumps(one) + "\n" for one in keys)


def match(work: Work, done: Compared, unmatched: Unmatched) -> None:
    """Look the keys that are on one side only up on the other, by the operators of its index: 1.0 finds 1.00."""
    pair, found = done.pair, done.found
    sides = (
        (unmatched.new, work.old, done.parts[1], found.first_new),
        (unmatched.old, work.new, done.parts[0], found.first_old),
    )
    alone = [path.stat().st_size > 0 for path in (unmatched.new, unmatched.old)]
    may = all(alone) and pair.look_up
    if all(alone) and not pair.look_up:
        done.notes.append("keys were only compared as text: reading a value of their type could run the owner's code")
    matched, left = [], []
    for path, other, parts, kept in sides:
        here, gone = 0, 0
        for keys in _batches(path):
            there = _there(work, pair, other, parts, keys) if may else set[int]()
            here += len(there)
            gone += len(keys) - len(there)
            rest = [key for number, key in enumerate(keys, start=1) if number not in there]
            kept += rest[: work.samples - len(kept)]
            if path == unmatched.new:
                both = [key for number, key in enumerate(keys, start=1) if number in there]
                found.first_different += both[: max(0, work.samples - len(found.first_different))]
            work.look()
        matched.append(here)
        left.append(gone)
    if matched[0] != matched[1]:
        raise Unknown("the two sides do not agree on which keys are equal: their collations differ")
    found.different += matched[0]
    found.only_new, found.only_old = left


def _there(work: Work, pair: Pair, side: Side, parts: Sequence[Part], keys: Sequence[Fields]) -> set[int]:
    """Which keys, by number from 1, the table of a side has."""
    there: set[int] = set()
    types, equal, order = key_types(side, pair, work)
    side.allow()
    for part in parts:
        query = by_key(part, (), types, equal, key=order)
        at = [pair.key.index(name) for name in order]
        rows = ask(side.connection, query, *([key[one] for key in keys] for one in at))
        there.update(int(row[0] or 0) for row in rows)
    return there


def key_types(side: Side, pair: Pair, work: Work) -> tuple[list[str], tuple[str, ...], tuple[str, ...]]:
    """The types of a side's key, behind domains, its operators and its columns, all in the order of its index."""
    table = pair.new if side is work.new else pair.old
    key, shape = pair.key_of(table), shape_of(side.connection, table.relation)
    if shape is None:
        raise Unknown(f"{table.relation} was dropped in {side.word.upper()} meanwhile")
    return [shape.column(name).bare for name in key.names], key.equal, key.names


def _batches(path: Path) -> Iterator[list[Fields]]:
    batch: list[Fields] = []
    for line in read_lines(path):
        batch.append(tuple(line))
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
