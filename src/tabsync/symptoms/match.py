"""What a text means: the causes that it points to, the likeliest first, each with what points to it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from tabsync.symptoms.others import without_others
from tabsync.symptoms.table import Cause, Pattern, Sign, table
from tabsync.symptoms.text import Pasted

_GAP = 160
"""Characters that a wildcard stands for, at most: a file's name, a path."""

_TRIES = 40
"""How often the beginning of a pattern is looked for before it is given up: a text of its beginnings costs no more."""

_SHAPE = 60
"""What the length of a message says that came as nothing but question marks: less than any word."""

_LATER = 6
"""What each further cause of one sign is less likely than the one before."""


@dataclass(frozen=True, slots=True)
class Found:
    """A cause that a text points to. score: 0 to 110; because: what points to it, as a person reads it."""

    cause: Cause
    score: int
    because: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Hit:
    """A sign that is in a text: how much it says, in words, and where it stands, -1 where that does not matter."""

    strength: int
    because: str
    start: int = -1
    end: int = -1


Hits: TypeAlias = list[tuple[Sign, Hit]]


def hits_of(pasted: Pasted) -> Hits:
    """All signs that are in a text."""
    ours = without_others(pasted)
    return [(sign, hit) for sign in table() for hit in _hits(sign, pasted if sign.others else ours)]


def causes_of(pasted: Pasted, hits: Hits) -> list[Found]:
    """The causes that a text points to, the likeliest first."""
    counted = [(sign, hit) for sign, hit in hits if not is_quoted(hit.start, hits, pasted)]
    by_cause: dict[str, list[Hit]] = {}
    known: dict[str, Cause] = {}
    for sign, hit in counted:
        for place, cause in enumerate(sign.causes):
            known[cause.name] = cause
            by_cause.setdefault(cause.name, []).append(
                Hit(hit.strength - _LATER * place, hit.because, hit.start, hit.end)
            )
    found = [_found(known[name], one) for name, one in by_cause.items()]
    return sorted(found, key=lambda one: -one.score)


def _found(cause: Cause, hits: list[Hit]) -> Found:
    hits = sorted(hits, key=lambda one: -one.strength)
    because = tuple(dict.fromkeys(one.because for one in hits))
    return Found(cause, hits[0].strength + min(6, 2 * (len(because) - 1)), because)


def _hits(sign: Sign, pasted: Pasted) -> Iterator[Hit]:
    if sign.connecting is not None and sign.connecting != pasted.connecting:
        return
    if sign.needs and not any(word in pasted.words for word in sign.needs):
        return
    if any(word in pasted.words for word in sign.unless):
        return
    if sign.frames and not any(one in pasted.frames for one in sign.frames):
        return
    if any(one in pasted.frames for one in sign.no_frames):
        return
    for pattern in sign.patterns:
        start, end = find(pattern, pasted)
        if start >= 0 and pattern.whole:
            yield Hit(min(_SHAPE, sign.strength), f"question marks as many as in “{pattern.shown}”", start, end)
        elif start >= 0:
            yield Hit(sign.strength, f"the words “{pattern.shown}”", start, end)
    for code in sorted(sign.codes & pasted.codes):
        yield Hit(sign.strength, f"the code {code}")
    for state in sorted(pasted.states):
        if state in sign.states or state[:2] in sign.classes:
            yield Hit(sign.strength, f"SQLSTATE {state}")
    for routine in sorted(sign.routines & pasted.routines):
        yield Hit(sign.strength, f"PostgreSQL's routine {routine}")
    for tag in sorted(sign.tags & pasted.tags):
        yield Hit(sign.strength, f"psql's answer {tag.upper()}")
    if "rows" in sign.tags and pasted.rows:
        yield Hit(sign.strength, "rows, and no error")


def is_quoted(start: int, hits: Hits, pasted: Pasted) -> bool:
    """Whether what stands at a place is only in a value that another message of the same line quotes."""
    if start < 0:
        return False
    line = bisect_right(pasted.lines, start)
    for _, other in hits:
        if other.start < 0 or other.end > start or bisect_right(pasted.lines, other.start) != line:
            continue
        if pasted.words.count('"', other.start, start) % 2 == 1 and other.strength >= 60:
            return True
    return False


def find(pattern: Pattern, pasted: Pasted) -> tuple[int, int]:
    """Where a pattern is in a text, (-1, -1) when it isn't."""
    words, start = pasted.words, -1
    if pattern.key and pattern.key not in pasted.known:
        return -1, -1
    for _ in range(_TRIES):
        start = words.find(pattern.parts[0], start + 1)
        if start < 0:
            return -1, -1
        end = _end(pattern, words, start)
        if end >= 0 and not (pattern.whole and not _is_whole(pasted, start, end)):
            return start, end
    return -1, -1


def _end(pattern: Pattern, words: str, start: int) -> int:
    end = start + len(pattern.parts[0])
    for before, part in zip(pattern.parts, pattern.parts[1:], strict=False):
        at = words.find(part, end, end + _GAP + len(part))
        if at < 0 or (before[-1] == '"' and '"' in words[end:at]):
            return -1
        end = at + len(part)
    return end


def _is_whole(pasted: Pasted, start: int, end: int) -> bool:
    """Whether that is a whole message: a colon is before it, and a quote or the end of the line behind it."""
    ends = end >= len(pasted.words) or pasted.words[end] in "'\"," or end + 1 in pasted.lines
    return ends and pasted.words[max(0, start - 2) : start].strip("'\" ")[-1:] in (":", "")
