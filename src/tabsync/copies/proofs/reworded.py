"""Definitions that PostgreSQL writes in other words once it has read its own: pure.

A dump holds expressions as PostgreSQL writes them down from what it has parsed. Read again, a cast of an array becomes
casts of its elements, and the next dump says so: `(ARRAY['a'::character varying])::text[]`, which is how PostgreSQL
keeps `kind in ('a')` of a varchar, comes back as `ARRAY[('a'::character varying)::text]`. The two mean the same.
And the name of a NOT NULL, which a dump leaves out where it is the usual one, is another when somebody has that one
already. Here is what may differ for such reasons at all; that PostgreSQL does it is found by trying (read_again.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from tabsync.copies.dumps.properties import tokens
from tabsync.postgres.toc import Entry

_EXPRESSIONS = (
    "TABLE",
    "FOREIGN TABLE",
    "DEFAULT",
    "CONSTRAINT",
    "CHECK CONSTRAINT",
    "DOMAIN",
    "INDEX",
    "TRIGGER",
    "POLICY",
    "STATISTICS",
    "PUBLICATION TABLE",
)
"""Kinds with expressions in them: all but the casts and parentheses of these must be the same."""

_QUERIES = ("VIEW", "MATERIALIZED VIEW", "RULE", "FUNCTION", "PROCEDURE")
"""Kinds with queries in them, which may get other aliases too: all before the query must be the same."""

_QUERY = re.compile(r"(?s).*?(?:\bAS\n|\bBEGIN ATOMIC\b)")
_NOT_NULL = re.compile(r'CONSTRAINT (?:"(?:[^"]|"")*"|[^\s"]+) NOT NULL')
_NOISE = frozenset("()[]:")
_WORDS = {
    "character": ("varying",),
    "bit": ("varying",),
    "double": ("precision",),
    "time": ("with", "without", "time", "zone"),
    "timestamp": ("with", "without", "time", "zone"),
}
"""Types whose names are several words."""


def in_other_words(first: Entry, second: Entry) -> bool:
    """Whether two entries of one object differ only in what PostgreSQL may write otherwise."""
    if _about(first) != _about(second) or first.definition == second.definition:
        return False
    if first.kind in _EXPRESSIONS:
        return _bones(first) == _bones(second)
    heads = [_QUERY.match(one.definition) for one in (first, second)]
    return first.kind in _QUERIES and None not in heads and len({one[0] for one in heads if one}) == 1


def same_object(one: Entry) -> tuple[str, str, str]:
    """By what an object is known in both of two dumps."""
    return one.kind, one.schema, one.name


def _about(one: Entry) -> tuple[str, ...]:
    return (*same_object(one), one.owner, one.copy, one.tablespace, one.access_method)


def _bones(entry: Entry) -> list[str]:
    """A definition's lines without casts, parentheses and blanks; in any order where columns are inherited."""
    text = "".join("\n" if one == "\n" else f"{one} " for one in _uncast(entry.definition))
    lines = (_NOT_NULL.sub("NOT NULL", text) if entry.kind == "TABLE" else text).split("\n")
    return sorted(line.rstrip(" ,") for line in lines) if "\nINHERITS (" in entry.definition else lines


def _uncast(text: str) -> Iterator[str]:
    """The tokens that are no part of a cast; of blanks only line breaks."""
    found = tokens(text)
    at = 0
    while at < len(found):
        if found[at] == ":" and found[at + 1 : at + 2] == [":"]:
            at = _after_type(found, at + 2)
            continue
        if found[at].isspace():
            if "\n" in found[at]:
                yield "\n"
        elif found[at] not in _NOISE:
            yield found[at]
        at += 1


def _after_type(found: list[str], at: int) -> int:
    """Where the name of a type ends that begins at a place."""
    more = _WORDS.get("".join(found[at : at + 1]), ())
    at += 1
    while at < len(found) and (found[at].startswith(".") or found[at - 1].endswith(".")):
        at += 1  # a schema before it
    while at < len(found):
        inside = found[at + 1 : found.index(")", at)] if found[at] == "(" and ")" in found[at:] else ["x"]
        if all(one.isdigit() or one in (",", " ") for one in inside):
            at += len(inside) + 2
        elif found[at : at + 2] == ["[", "]"] or found[at : at + 2] in ([" ", one] for one in more):
            at += 2
        else:
            break
    return at
