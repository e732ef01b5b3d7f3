"""The objects of two databases by their definitions, as PostgreSQL writes them from its catalog: none is run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import psycopg
from psycopg import sql

from tabsync.backups.restore.diff.sides import Side
from tabsync.kernel.step import Facts
from tabsync.postgres.catalog import Relation
from tabsync.postgres.connect import Connection
from tabsync.postgres.queries import named

SQL = {**named(__package__, "objects.sql"), **named(__package__, "database.sql")}
_NOT_OBJECTS = ("positions",)
_TABLES = ("table", "foreign table", "view", "materialized view")

Known: TypeAlias = dict[tuple[str, str], "Definition"]
"""Objects by their kind and name."""


@dataclass(frozen=True, slots=True)
class Definition:
    """An object. of: the table that it belongs to, as the catalog names it, "" for none."""

    of: str
    text: str


@dataclass(frozen=True, slots=True)
class Difference:
    """An object that is not the same. new, old: its definition, None where it isn't there."""

    kind: str
    name: str
    new: str | None
    old: str | None

    @property
    def state(self) -> str:
        """Where it is: "new", "old" or "different"."""
        return "old" if self.new is None else "new" if self.old is None else "different"

    def to_json(self, *, definitions: bool) -> Facts:
        """As a fact. definitions: also what it is defined as."""
        found: Facts = {"kind": self.kind, "name": self.name, "state": self.state}
        return found | ({"new": self.new, "old": self.old} if definitions else {})


def objects_of(side: Side) -> Known:
    """Every object of one side."""
    return objects_in(side.connection, side.allow)


def objects_in(connection: Connection, allow: Callable[[], None] = lambda: None) -> Known:
    """Every object of a database that is not PostgreSQL's own or an extension's. allow: called before each query."""
    found: Known = {}
    for name, query in SQL.items():
        if name in _NOT_OBJECTS:
            continue
        allow()
        for kind, called, of, text in connection.execute(query, {}):
            found[kind, called] = Definition(of, text or "")
    return found


def differences(
    new: Mapping[tuple[str, str], Definition], old: Mapping[tuple[str, str], Definition]
) -> list[Difference]:
    """What is not the same, by kind and name. What belongs to a table that only one has goes without saying."""
    alone = {
        name
        for one, other in ((new, old), (old, new))
        for kind, name in one
        if kind in _TABLES and not any((which, name) in other for which in _TABLES)
    }
    found = []
    for key in sorted(new.keys() | old.keys()):
        here, there = new.get(key), old.get(key)
        if here == there or (here or there or Definition("", "")).of in alone:
            continue
        # A setting that an application invented may be a secret.
        hide = key[0] == "setting" and "." in key[1]
        found.append(Difference(*key, *(_text(one, hide=hide) for one in (here, there))))
    return found


def _text(one: Definition | None, *, hide: bool) -> str | None:
    if one is None:
        return None
    return "(not shown)" if hide else one.text


def positions(side: Side) -> dict[Relation, Facts | None]:
    """How far each sequence is, and whether that number was given out; None where we can't know."""
    side.allow()
    found: dict[Relation, Facts | None] = {}
    for schema, name, may_read, last in side.connection.execute(SQL["positions"], {}).fetchall():
        relation = Relation(schema, name)
        if last is not None:
            found[relation] = {"value": last, "used": True}
        else:
            found[relation] = _first(side, relation) if may_read else None
    return found


def _first(side: Side, sequence: Relation) -> Facts | None:
    """Where one stands that was never used: only the sequence itself says it."""
    query = sql.SQL("select last_value, is_called from {}").format(sequence.identifier())
    try:
        with side.aside():
            row = side.connection.execute(query).fetchone()
    except psycopg.Error:  # it was dropped meanwhile, or is an unlogged one of a standby
        if side.connection.broken:
            raise
        return None
    return {"value": row[0], "used": row[1]} if row else None


def moved(new: Mapping[Relation, Facts | None], old: Mapping[Relation, Facts | None]) -> list[Facts]:
    """The sequences of both that are not equally far, or of which we don't know it."""
    return [
        {"sequence": str(one), "state": _state(new[one], old[one]), "new": new[one], "old": old[one]}
        for one in sorted(new, key=str)
        if one in old and _state(new[one], old[one]) != "same"
    ]


def _state(new: Facts | None, old: Facts | None) -> str:
    if new is None or old is None:
        return "unknown"
    return "same" if new == old else "different"
