"""The tables of both databases, and how the rows of each two are told apart: by a key, or only as a whole."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from psycopg import sql

from tabsync.backups.restore.diff.sides import SQL
from tabsync.postgres.catalog import Relation
from tabsync.postgres.connect import Connection

BINARY = (
    *("bool", "bytea", "char", "name", "int2", "int4", "int8", "text", "varchar", "bpchar", "json", "jsonb", "numeric"),
    *("date", "time", "timetz", "timestamp", "timestamptz", "interval", "uuid", "inet", "cidr", "macaddr", "macaddr8"),
    *("bit", "varbit", "money", "oid", "pg_lsn"),
)
"""Types of PostgreSQL that are sent the same wherever they are equal in a dump; hashed so, which is twice as fast."""

UNIQUE = (
    *("bool", "bytea", "char", "name", "int2", "int4", "int8", "text", "varchar", "oid", "uuid", "inet", "cidr"),
    *("macaddr", "macaddr8", "date", "time", "timetz", "timestamp", "timestamptz", "bit", "varbit", "money", "pg_lsn"),
)
"""Types of PostgreSQL of which two texts are two values. Not: numeric (1.0 is 1.00), interval, float8 (-0), char(n)."""


_NO_KEY = "no primary key, and no unique index on columns that are NOT NULL, in both: whole rows are compared"


@dataclass(frozen=True, slots=True)
class Column:
    """A column. own: of a type of PostgreSQL itself; binary: what the type sends can be compared."""

    name: str
    type: str
    type_oid: int
    own: bool
    binary: bool


@dataclass(frozen=True, slots=True)
class Key:
    """What tells the rows of a table apart.

    names: in the index's order; equal: its operators; unique_text: two texts are two values; may_look_up: a value can
    be read from its text without running anybody's code.
    """

    primary: bool
    names: tuple[str, ...]
    equal: tuple[str, ...]
    unique_text: bool
    may_look_up: bool


@dataclass(frozen=True, slots=True)
class Part:
    """Where rows of a table are: itself, or one of its partitions. See tables.sql."""

    oid: int
    relation: Relation
    kind: str
    heap: bool
    blocks: int
    file: int
    may_read: bool
    rls: bool


@dataclass(slots=True)
class Table:
    """A table of one side. kind: as pg_class has it; bytes: 0 until they are asked for."""

    oid: int
    relation: Relation
    kind: str
    may_read: bool
    rls: bool
    filled: bool
    parents: tuple[int, ...] = ()
    columns: list[Column] = field(default_factory=list)
    keys: list[Key] = field(default_factory=list)
    bytes: int = 0

    def column(self, name: str) -> Column:
        """One column by name."""
        return next(one for one in self.columns if one.name == name)


@dataclass(frozen=True, slots=True)
class Pair:
    """A table that both have.

    columns: those that both have; binary: which of them are hashed as they are sent; key: the columns that tell rows
    apart, () where nothing does; exact: two texts of it are two keys; look_up: keys can be looked up by their
    operators; notes: what is compared otherwise than one might think.
    """

    new: Table
    old: Table
    columns: tuple[str, ...]
    binary: tuple[str, ...]
    key: tuple[str, ...] = ()
    exact: bool = True
    look_up: bool = True
    notes: tuple[str, ...] = ()

    @property
    def relation(self) -> Relation:
        """Its name."""
        return self.new.relation

    @property
    def alone(self) -> dict[str, int]:
        """How many columns only one side has, by "new" and "old": their values are compared with nothing."""
        common = len(self.columns)
        found = {"new": len(self.new.columns) - common, "old": len(self.old.columns) - common}
        return {word: number for word, number in found.items() if number}

    def key_of(self, table: Table) -> Key:
        """The key of one side."""
        return next(one for one in table.keys if set(one.names) == set(self.key))


def tables_of(connection: Connection) -> dict[Relation, Table]:
    """The tables of a database, partitioned ones as a whole; foreign tables too, of which nothing more is read."""
    found = {
        int(oid): Table(oid, Relation(schema, name), kind, may_read, rls, filled, tuple(parents))
        for oid, schema, name, kind, may_read, rls, filled, parents in connection.execute(SQL["tables"], {})
    }
    for oid, *rest in connection.execute(SQL["columns"], {"binary": list(BINARY)}):
        if oid in found:
            found[oid].columns.append(Column(*rest))
    for oid, primary, names, equal, unique, may_look_up in connection.execute(SQL["keys"], {"unique": list(UNIQUE)}):
        if oid in found:
            found[oid].keys.append(Key(primary, tuple(names), tuple(equal), unique, may_look_up))
    return {one.relation: one for one in found.values()}


def measured(connection: Connection, tables: Iterable[Table]) -> None:
    """Fill in how large tables are."""
    by_oid = {one.oid: one for one in tables}
    for oid, size in connection.execute(SQL["sizes"], {"oids": list(by_oid)}):
        by_oid[oid].bytes = int(size)


def parts_of(connection: Connection, table: Table) -> list[Part]:
    """Where its rows are, as of now; foreign partitions too."""
    rows = connection.execute(SQL["parts"], {"oid": table.oid})
    return [Part(oid, Relation(schema, name), *rest) for oid, schema, name, *rest in rows]


def why_unknown(new: Table, old: Table) -> str:
    """Why the rows of a table of both can't be compared, "" where they can."""
    for word, one in (("NEW", new), ("OLD", old)):
        if one.kind == "f":
            return f"in {word} it is a foreign table: its rows are on another server"
        if not one.may_read:
            return f"this user may not read it in {word}: it needs pg_read_all_data"
        if one.rls:
            return f"policies would hide rows from this user in {word}: it needs BYPASSRLS"
        if not one.filled:
            return f"in {word} it is a materialized view that was never refreshed"
    if not {one.name for one in new.columns} & {one.name for one in old.columns}:
        return "the two have no column in common"
    return ""


def paired(new: Table, old: Table) -> Pair:
    """How the rows of two tables of one name are compared: by the columns that both have."""
    theirs = {one.name: one for one in old.columns}
    common = [one for one in new.columns if one.name in theirs]
    binary = [one for one in common if one.binary and one.type_oid == theirs[one.name].type_oid]
    notes = [
        f"column {one.name} is only in {word}: not compared"
        for word, columns, others in (("NEW", new.columns, theirs), ("OLD", old.columns, {o.name for o in new.columns}))
        for one in columns
        if one.name not in others
    ]
    notes += [
        f"column {one.name} is {one.type} in NEW and {theirs[one.name].type} in OLD: compared as text"
        for one in common
        if one.own and theirs[one.name].own and one.type_oid != theirs[one.name].type_oid
    ]
    names = tuple(one.name for one in common)
    key, other = _common_key(new, old, set(names))
    if key is None or other is None:
        notes.append(
            "no primary key, and no unique index on columns that are NOT NULL, in both: whole rows are compared"
        )
        return Pair(new, old, names, tuple(one.name for one in binary), notes=tuple(notes))
    alike = all(new.column(one).own == theirs[one].own for one in key.names)
    return Pair(
        new,
        old,
        names,
        tuple(one.name for one in binary),
        key.names,
        exact=key.unique_text and other.unique_text and alike,
        look_up=key.may_look_up and other.may_look_up,
        notes=tuple(notes),
    )


def heirs(tables: Mapping[Relation, Table], only: Iterable[Relation]) -> set[Relation]:
    """Tables by name, and those that inherit from them: their rows are rows of these too."""
    found = set(only)
    by_oid = {one.oid: one.relation for one in tables.values()}
    while more := {
        one.relation
        for one in tables.values()
        if one.relation not in found and any(by_oid.get(oid) in found for oid in one.parents)
    }:
        found |= more
    return found


def chosen(tables: Mapping[Relation, Table], only: Iterable[Relation], without: Iterable[Relation]) -> list[Relation]:
    """The tables that were asked for, by name."""
    wanted, left_out = set(only), set(without)
    return [one for one in tables if (not wanted or one in wanted) and one not in left_out]


def _common_key(new: Table, old: Table, common: set[str]) -> tuple[Key | None, Key | None]:
    """The first key of NEW (the primary key comes first) that is one in OLD as well."""
    for one in new.keys:
        for other in old.keys:
            if set(one.names) == set(other.names) <= common:
                return one, other
    return None, None


def count(table: Table) -> sql.Composed:
    """How many rows it has."""
    only = sql.SQL("" if table.kind == "p" else "only ")
    return sql.SQL("select count(*) from ") + only + table.relation.identifier()
