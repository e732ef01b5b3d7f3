"""Rows of the buckets that differ, side by side: pure. What is read is one bucket of each side at a time."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from tabsync.kernel.errors import Refused

Fields: TypeAlias = tuple[str, ...]
"""The columns of a key as text, or the SHA-256 of a whole row."""

_SHA = 64
_FIELD = re.compile(r'"((?:[^"\\]|""|\\.)*)"|([^,"]*)', re.DOTALL)
_DOUBLED = re.compile(r'""|\\(.)', re.DOTALL)


@dataclass(slots=True)
class Found:
    """What was found of a table. The counts are of rows; the lists hold the first keys of each kind."""

    only_new: int = 0
    only_old: int = 0
    different: int = 0
    first_new: list[Fields] = field(default_factory=list)
    first_old: list[Fields] = field(default_factory=list)
    first_different: list[Fields] = field(default_factory=list)


class Twice(Refused):
    """Two rows have one key, which no index would allow that is whole."""


def buckets(chunks: Iterable[bytes]) -> Iterator[tuple[int, list[bytes]]]:
    """The rows of each bucket, of which COPY gives a line each, in the order of the buckets."""
    for line in _lines(chunks):
        bucket, _, rows = line.partition(b"\t")
        yield int(bucket), rows.split(b" ")


def side_by_side(
    new: Iterator[tuple[int, list[bytes]]], old: Iterator[tuple[int, list[bytes]]]
) -> Iterator[tuple[list[bytes], list[bytes]]]:
    """The lines of both sides, bucket by bucket."""
    one, other = next(new, None), next(old, None)
    while one or other:
        first = min(which[0] for which in (one, other) if which)
        yield (one[1] if one and one[0] == first else []), (other[1] if other and other[0] == first else [])
        one = next(new, None) if one and one[0] == first else one
        other = next(old, None) if other and other[0] == first else other


def by_key(new: list[bytes], old: list[bytes]) -> tuple[list[bytes], list[bytes], list[bytes]]:
    """The keys that are only in one, only in the other, and in both with other rows. Raises Twice."""
    here, there = set(new), set(old)
    if len(here) != len(new) or len(there) != len(old):
        raise _twice("NEW" if len(here) != len(new) else "OLD")
    left, right = here - there, there - here
    mine, theirs = ({line[_SHA:] for line in lines} for lines in (left, right))
    if len(mine) != len(left) or len(theirs) != len(right):
        raise _twice("NEW" if len(mine) != len(left) else "OLD")
    return list(mine - theirs), list(theirs - mine), list(mine & theirs)


def as_wholes(new: list[bytes], old: list[bytes]) -> tuple[Counter[bytes], Counter[bytes]]:
    """The rows, by their SHA-256, that are more often in one than in the other: how many more."""
    here, there = Counter(new), Counter(old)
    return here - there, there - here


def fields(line: bytes, *, plain: bool) -> Fields:
    """The columns of a key from what follows the SHA-256 of a row. plain: it is the text of one, not of a record."""
    text = bytes.fromhex(line.decode()).decode("utf-8", "surrogateescape")
    return (text,) if plain else of_record(text)


def of_record(text: str) -> Fields:
    """The fields of a record that has no NULL: https://www.postgresql.org/docs/current/rowtypes.html#ROWTYPES-IO-SYNTAX"""
    found, at, end = [], 1, len(text) - 1
    while at <= end:
        match = _FIELD.match(text, at, end)
        if match is None:
            raise ValueError("this is not a record")
        found.append(match[2] if match[1] is None else _DOUBLED.sub(lambda one: one[1] or '"', match[1]))
        at = match.end() + 1
    return tuple(found)


def _lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Whole lines, without their ends; as a rule a chunk is one."""
    begun = b""
    for chunk in chunks:
        data = begun + bytes(chunk) if begun else bytes(chunk)
        *whole, begun = data.split(b"\n")
        yield from whole
    if begun:
        yield begun


def _twice(word: str) -> Twice:
    return Twice(f"rows of {word} have the same key: its index is corrupt", "to find out more: tabsync drill")
