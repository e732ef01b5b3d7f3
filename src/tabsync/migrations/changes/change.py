"""What a statement changes: things that are there once it is done, or gone."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

ANY_VALUE = "\0"
"""The value of what is there and can't be compared, as the query of a view."""

ABOUT = "something about"
"""The kind of what is not understood of a table: it makes and drops nothing, and can't be looked up."""

WITH_PARTITIONS = "*"
"""In Effect.table: what is dropped is a table, and its partitions with it."""


@dataclass(frozen=True, slots=True)
class Thing:
    """Something that the catalog has or has not. kind: as there.sql looks it up; schema: "" for the search_path.

    name: of the thing; part: a column, a label, a trigger, a constraint, a policy, a privilege of it, or arguments.
    """

    kind: str
    schema: str
    name: str
    part: str = ""


@dataclass(frozen=True, slots=True)
class Effect:
    """One change. there: whether the thing is there once it is done; value: what it has to be, None: anything.

    strict: the statement fails where it is so already; sure: it is so whenever the statement was done, which IF NOT
    EXISTS and GRANT do not promise; table: whose index it is; before: the name that it had before a renaming; needed:
    the statement changes nothing of it, and fails without it; replaced: the statement drops it, and makes it anew.
    """

    thing: Thing
    there: bool = True
    value: str | None = None
    strict: bool = False
    sure: bool = True
    table: str = ""
    before: str = ""
    needed: bool = False
    replaced: bool = False


class Kind(StrEnum):
    """What a statement is about."""

    CATALOG = "catalog"
    DATA = "data"
    NOTHING = "nothing"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Change:
    """What a statement changes. whole: all of it is in the effects; creates: names in the first schema of the path.

    mentions: names of what it may change besides, None: it may change anything; why: why it can't be told; path: the
    search_path from here on, () for the one that the session began with; temporary: a table that goes with the session.
    """

    kind: Kind
    effects: tuple[Effect, ...] = ()
    whole: bool = True
    mentions: frozenset[str] | None = field(default=frozenset())
    creates: bool = False
    why: str = ""
    path: tuple[str, ...] | None = None
    temporary: str = ""


NOTHING = Change(Kind.NOTHING)
DATA = Change(Kind.DATA, why="it changes data")


def unknown(why: str, mentions: frozenset[str] | None) -> Change:
    """A statement that isn't understood. mentions: the names in it, None: it may change anything."""
    return Change(Kind.OTHER, whole=False, mentions=mentions, why=why)
