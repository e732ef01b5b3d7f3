"""A few of the rows that differ, with their values: read last, cut to what a person reads, secret ones left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from tabsync.backups.restore.diff.digest import SHOWN, by_key, by_sha
from tabsync.backups.restore.diff.merge import Fields
from tabsync.backups.restore.diff.sides import NEW, OLD, Side
from tabsync.backups.restore.diff.unmatched import key_types
from tabsync.backups.restore.diff.work import Compared, Work
from tabsync.copies.row_text import ask
from tabsync.kernel.step import Facts

HIDDEN = "(secret)"
DIFFERENT = "different"


@dataclass(frozen=True, slots=True)
class Value:
    """A value as it is shown, and the SHA-256 of its whole text; NULL: both None."""

    shown: str | None
    sha: str | None

    def text(self, *, secret: bool) -> str | None:
        """What a person may see of it."""
        if self.shown is None or not secret:
            return self.shown if self.shown is None or len(self.shown) < SHOWN else f"{self.shown}..."
        return HIDDEN


Values: TypeAlias = dict[str, Value]


def samples_of(work: Work, done: Compared, secret: frozenset[str]) -> list[Facts]:
    """The first rows of each kind: {"kind", "values": by column, "was": of a row that differs, what it is in OLD}.

    secret: columns whose values nobody is shown. Of a row that differs only the key and the columns in which it does.
    """
    found = done.found
    new = _read(work, done, work.new, [*found.first_new, *found.first_different])
    old = _read(work, done, work.old, [*found.first_old, *found.first_different])
    told = [_one(NEW, done, key, new.get(key), None, secret) for key in found.first_new]
    told += [_one(OLD, done, key, old.get(key), None, secret) for key in found.first_old]
    return told + [_one(DIFFERENT, done, key, new.get(key), old.get(key), secret) for key in found.first_different]


def _one(
    kind: str,
    done: Compared,
    key: Fields,
    values: dict[str, Value] | None,
    was: dict[str, Value] | None,
    secret: frozenset[str],
) -> Facts:
    names = done.pair.key
    if values is None or (kind == DIFFERENT and was is None):  # it can't be looked up: only its key is known
        shown = {name: HIDDEN if name in secret else text for name, text in zip(names, key, strict=bool(names))}
        return {"kind": kind, "values": shown}
    if was is None:
        return {"kind": kind, "values": {name: one.text(secret=name in secret) for name, one in values.items()}}
    differing = [name for name in values if values[name].sha != was[name].sha]
    chosen = [*names, *(name for name in differing if name not in names)]
    return {
        "kind": kind,
        "columns": differing,
        "values": {name: values[name].text(secret=name in secret) for name in chosen},
        "was": {name: was[name].text(secret=name in secret) for name in differing},
    }


def _read(work: Work, done: Compared, side: Side, keys: Sequence[Fields]) -> dict[Fields, Values]:
    """The rows of some keys, or of some SHA-256, on a side."""
    pair, parts = done.pair, done.parts[side is work.old]
    if not keys or done.hashing is None or (pair.key and not pair.look_up):
        return {}
    side.allow()
    found: dict[Fields, Values] = {}
    types, equal, order = key_types(side, pair, work) if pair.key else ([], (), ())
    asked = [[key[pair.key.index(name)] for key in keys] for name in order] if pair.key else [[one[0] for one in keys]]
    for part in parts:
        query = (
            by_key(part, pair.columns, types, equal, key=order)
            if pair.key
            else by_sha(done.hashing, part, pair.columns)
        )
        for number, *values in ask(side.connection, query, *asked):
            pairs = zip(values[::2], values[1::2], strict=True)
            read = {name: Value(*one) for name, one in zip(pair.columns, pairs, strict=True)}
            found.setdefault(keys[int(number or 1) - 1], read)
    return found
