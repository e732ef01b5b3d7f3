"""The table of what texts mean: signs/*.toml, and what PostgreSQL says in other languages: localised.json.

A cause has `name`, `is` (one sentence), `apart` (what tells it from others with the same words), `runbooks` (titles
that manuals give to it, none where no runbook helps) and `pool` (server, pooler, application).

A sign names `causes`, the likeliest first, and has one or more of:

    server, libpq, os   texts of PostgreSQL, of its client library, of the operating system, as their catalogues have
                        them (%s stands for anything); other languages come from localised.json
    words               other texts, in lower case; * stands for up to 160 characters, and within quotes for none
    codes               words that stand alone: P1001, ECONNREFUSED, the class of an exception
    states, classes     SQLSTATEs, and the first two characters of them
    routines, tags      PostgreSQL's C functions; what psql says of a statement that ran
    frames, no_frames   parts of stack frames: one of these must be in the text, none of these may be
    with, unless        one of these must be in the text, none of these may be
    connecting          true: only while a connection was made; false: only later
    login               true: the server says it before anybody is logged in, so that it may come as nothing but ????
    others              true: these words are of another service's client; no other sign counts in a line that has
                        one of them, and none of `unless`
    strength            0 to 100, how much it says; 80 if it says nothing
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import resources
from itertools import pairwise
from typing import Any

from tabsync.symptoms.text import WORD, normal

USUAL = 80
_PLACE = re.compile(r"%(?:\d+\$)?[-+ #0]?\d*(?:\.\d+)?(?:l{1,2}|z|h)?[sdiuxXcmfgp]")
_ACCENTED = str.maketrans({"“": '"', "’": "'", "–": "-", "…": "...", "，": ",", "。": ".", "：": ":", "、": ","})


@dataclass(frozen=True, slots=True)
class Cause:
    """One cause. says: what it is, in a sentence; apart: what tells it from others; runbooks: titles, in this order."""

    name: str
    says: str
    apart: str
    runbooks: tuple[str, ...] = ()
    pool: str = ""


@dataclass(frozen=True, slots=True)
class Pattern:
    """A text that is looked for.

    parts: between its wildcards; shown: as a person reads it; whole: nothing stands beside it; key: a word of it.
    """

    parts: tuple[str, ...]
    shown: str
    whole: bool = False
    key: str = ""


@dataclass(frozen=True, slots=True)
class Sign:
    """What points to some causes; see above."""

    causes: tuple[Cause, ...]
    strength: int
    patterns: tuple[Pattern, ...]
    codes: frozenset[str]
    states: frozenset[str]
    classes: frozenset[str]
    routines: frozenset[str]
    tags: frozenset[str]
    needs: tuple[str, ...]
    unless: tuple[str, ...]
    frames: tuple[str, ...]
    no_frames: tuple[str, ...]
    connecting: bool | None
    others: bool


@cache
def table() -> tuple[Sign, ...]:
    """All signs. Raises ValueError for a table that names a cause which it does not have."""
    causes: dict[str, Cause] = {}
    rows: list[dict[str, Any]] = []
    for text in _files():
        document = tomllib.loads(text)
        for one in document.get("cause", ()):
            causes[one["name"]] = Cause(
                one["name"], one["is"], one["apart"], tuple(one.get("runbooks", ())), one.get("pool", "")
            )
        rows += document.get("sign", ())
    try:
        return tuple(_sign(row, causes) for row in rows)
    except KeyError as error:
        raise ValueError(f"signs/*.toml: a sign names {error}, which is none") from None


def causes() -> dict[str, Cause]:
    """All causes, by name."""
    return {cause.name: cause for sign in table() for cause in sign.causes}


def originals() -> Iterator[tuple[str, str]]:
    """The texts that are looked up in catalogues: the catalogue ("server", "libpq", "os") and the text."""
    for text in _files():
        for row in tomllib.loads(text).get("sign", ()):
            for catalogue in ("server", "libpq", "os"):
                yield from ((catalogue, one) for one in row.get(catalogue, ()))


def _files() -> list[str]:
    folder = resources.files(__package__) / "signs"
    found = sorted((one for one in folder.iterdir() if one.name.endswith(".toml")), key=lambda one: one.name)
    return [one.read_text(encoding="utf-8") for one in found]


@cache
def _localised() -> dict[str, list[str]]:
    found: dict[str, list[str]] = json.loads((resources.files(__package__) / "localised.json").read_text("utf-8"))
    return found


def _sign(row: dict[str, Any], causes: dict[str, Cause]) -> Sign:
    patterns: dict[tuple[str, ...], Pattern] = {}
    for catalogue in ("server", "libpq", "os"):
        for original in row.get(catalogue, ()):
            for text in (original, *_localised().get(original, ())):
                for one in _variants(_PLACE.sub("*", text), _PLACE.sub("…", " ".join(original.split()))):
                    if not one.whole or row.get("login"):
                        patterns.setdefault(one.parts, one)
    for text in row.get("words", ()):
        one = Pattern(parts := _parts(text), text, key=_key(parts))
        patterns.setdefault(one.parts, one)

    def names(key: str) -> frozenset[str]:
        return frozenset(row.get(key, ()))

    return Sign(
        tuple(causes[name] for name in row["causes"]),
        row.get("strength", USUAL),
        tuple(patterns.values()),
        names("codes"),
        names("states"),
        names("classes"),
        names("routines"),
        names("tags"),
        tuple(row.get("with", ())),
        tuple(row.get("unless", ())),
        tuple(row.get("frames", ())),
        tuple(row.get("no_frames", ())),
        row.get("connecting"),
        row.get("others", False),
    )


def _variants(text: str, shown: str) -> Iterator[Pattern]:
    """A text as it comes, and as a server whose LC_CTYPE is C sends it before anybody has logged in: with ? for é."""
    if says_enough(parts := _parts(text)):
        yield Pattern(parts, shown, key=_key(parts))
    if not text.isascii():
        plain = text.replace("«", "<<").replace("»", ">>").replace("„", ",,").translate(_ACCENTED)
        asked = "".join(one if one.isascii() else "?" for one in plain)
        parts = _parts(asked)
        letters = sum(one.isalpha() for part in parts for one in part)
        if letters >= 8:
            yield Pattern(parts, shown, key=_key(parts))
        elif sum(map(len, parts)) >= 8 and _is_fixed(parts):
            yield Pattern(parts, shown, True)


def _is_fixed(parts: tuple[str, ...]) -> bool:
    """Whether question marks can be counted: what differs between messages stands between quotes."""
    return all(one[-1] == '"' and two[0] == '"' for one, two in pairwise(parts))


def _parts(text: str) -> tuple[str, ...]:
    return tuple(part for one in text.split("*") if (part := normal(one)))


def _key(parts: tuple[str, ...]) -> str:
    """The longest word that stands between two others: a text without it has not the pattern."""
    return max((word for part in parts for word in WORD.findall(part)[1:-1]), key=len, default="")


def says_enough(parts: tuple[str, ...]) -> bool:
    """Whether what stands between the wildcards is enough to be known by: 6 letters, or 3 of a script of words."""
    letters = [one for part in parts for one in part if one.isalpha()]
    return len(letters) >= 6 or sum(ord(one) > 0x2E80 for one in letters) >= 3
