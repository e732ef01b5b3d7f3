"""What of a migration is there: each of its statements against the catalog."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from psycopg.rows import dict_row

from tabsync.migrations.effects import Effect, Thing, effects
from tabsync.migrations.histories.script import Statement, Token, statements
from tabsync.postgres.connect import Connection, connect
from tabsync.postgres.queries import named
from tabsync.postgres.settings import Limits

if TYPE_CHECKING:
    from tabsync.workspace import Workspace

_SQL = named(__package__, "there.sql")
_LIMITS = Limits(lock_timeout=1_000, statement_timeout=10_000)


class Found(StrEnum):
    """What of a statement is there."""

    THERE = "there"
    PARTLY = "partly there"
    ABSENT = "absent"
    UNKNOWN = "can't tell"


@dataclass(frozen=True, slots=True)
class Seen:
    """A statement, and what of it is there."""

    statement: Statement
    found: Found


def search_path(workspace: Workspace) -> list[str]:
    """The schemas in which the application's names are looked for."""
    with connect(workspace.conninfo, "migrations", as_application=True, limits=_LIMITS) as connection:
        row = connection.execute(_SQL["path"]).fetchone()
    return list(row[0]) if row else []


def what_is_there(connection: Connection, script: str, path: Sequence[str]) -> list[Seen]:
    """Each statement of a script against the catalog. path: the schemas of names without one.

    A statement that changes no catalog, or isn't understood, can't be told. But where one before it is absent, nothing
    after that one was ever done, or all of it was rolled back.
    """
    every = statements(script)
    changes = [effects(one) for one in every]
    things = list(dict.fromkeys(effect.thing for one in changes for effect in one))
    there = _looked_up(connection, things, path)
    seen: list[Seen] = []
    broken = False
    for number, one in enumerate(every):
        found = _found(changes[number], there, [each for later in changes[number + 1 :] for each in later])
        if found is Found.UNKNOWN and broken:
            found = Found.ABSENT
        broken = broken or (found is Found.ABSENT and _strict(one))
        seen.append(Seen(one, found))
    return seen


def _found(mine: Sequence[Effect], there: dict[Thing, bool | None], later: Sequence[Effect]) -> Found:
    """What of some changes is there. What a later statement changes again can't be told by the end of it all."""
    states: set[bool] = set()
    for effect in mine:
        now = there[effect.thing]
        if now is None:
            return Found.PARTLY
        if any(_changes_again(one, effect) for one in later):
            return Found.UNKNOWN
        states.add(now is effect.there)
    if not states:
        return Found.UNKNOWN
    return Found.PARTLY if len(states) > 1 else Found.THERE if states == {True} else Found.ABSENT


def _changes_again(later: Effect, effect: Effect) -> bool:
    thing, other = effect.thing, later.thing
    if other == thing:
        return later.there != effect.there
    holds = other.kind in ("relation", "type") and (other.schema, other.name) == (thing.schema, thing.name)
    return holds and not later.there


def _strict(one: Statement) -> bool:
    """Whether a statement fails where its thing is there already, or is not: IF [NOT] EXISTS would pass over that."""
    return Token("word", "exists") not in one.tokens[:6] and Token("word", "replace") not in one.tokens[:3]


def _looked_up(connection: Connection, things: Sequence[Thing], path: Sequence[str]) -> dict[Thing, bool | None]:
    """Whether each is there; None for one that is there and not whole."""
    values = {
        "kinds": [one.kind for one in things],
        "schemas": [one.schema for one in things],
        "names": [one.name for one in things],
        "parts": [one.part for one in things],
        "path": list(path),
    }
    with connection.cursor(row_factory=dict_row) as cursor:
        found = cursor.execute(_SQL["there"], values).fetchall()
    return {
        thing: one["there"] if one["whole"] or not one["there"] else None
        for thing, one in zip(things, found, strict=True)
    }
