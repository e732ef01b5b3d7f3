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
_ESCAPE = re.compile(r"\\([0-7]{1,3}|x[0-9A-Fa-f]{1,2}|.)", re.DOTALL)
_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


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
    """The lines of COPY by the bucket that they begin with, which they are in the order of; without it."""
    number, lines = b"", list[bytes]()
    for line in _lines(chunks):
        bucket, _, rest = line.partition(b"\t")
        if bucket != number:
            if lines:
                yield int(number), lines
            number, lines = bucket, []
        lines.append(rest)
    if lines:
        yield int(number), lines


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


def fields(line: bytes) -> Fields:
    """The columns of a key as COPY wrote them: https://www.postgresql.org/docs/current/sql-copy.html"""
    return tuple(map(_plain, line.decode("utf-8", "surrogateescape").removeprefix("\t").split("\t")))


def _plain(text: str) -> str:
    return _ESCAPE.sub(_meant, text) if "\\" in text else text


def _meant(match: re.Match[str]) -> str:
    said = match[1]
    if said[0] == "x" and len(said) > 1:
        return chr(int(said[1:], 16))
    return chr(int(said, 8)) if said[0] in "01234567" else _ESCAPES.get(said, said)


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
