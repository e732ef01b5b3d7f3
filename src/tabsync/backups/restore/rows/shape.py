"""What tables look like on the two sides of a comparison: columns, key, triggers, and the foreign keys between them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace

from psycopg import sql

from tabsync.kernel.errors import BadUsage, NotAllowed, Refused
from tabsync.kernel.step import Facts
from tabsync.postgres.catalog import Relation
from tabsync.postgres.connect import Connection
from tabsync.postgres.queries import named

SQL = named(__package__, "rows.sql")

_INSERT, _DELETE, _UPDATE = 4, 8, 16  # bits of pg_trigger.tgtype


@dataclass(frozen=True, slots=True)
class Column:
    """A column.

    type: as format_type says; bare: without its length; base: behind a domain; identity: "a", "d", ""; guarded: a
    domain is within it all the same (only looked for where the owner is another than we).
    """

    name: str
    type: str
    bare: str
    not_null: bool
    has_default: bool
    identity: str
    generated: bool
    base: str
    guarded: bool = False


@dataclass(frozen=True, slots=True)
class Trigger:
    """A trigger that fires for an ordinary session. table: which it is on, this one or a partition of it.

    enabled: "O" or "A" (also while replicating).
    """

    table: Relation
    name: str
    events: int
    enabled: str


@dataclass(frozen=True, slots=True)
class Shape:
    """A table as it stands in a database.

    kind: "r" or "p" (partitioned); key: the primary key's columns; equal: the operators of its index. owner: as whom
    a superuser writes to it, "" where that is no other.
    """

    relation: Relation
    kind: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    equal: tuple[str, ...] = ()
    triggers: tuple[Trigger, ...] = ()
    may_insert: bool = True
    may_update: bool = True
    may_delete: bool = True
    owns: bool = True
    owner: str = ""

    def source(self) -> sql.Composed:
        """The table in a FROM clause: its own rows, those of its partitions, not those of tables that inherit."""
        return sql.SQL("" if self.kind == "p" else "only ") + self.relation.identifier()

    def column(self, name: str) -> Column:
        """One column by name."""
        return next(one for one in self.columns if one.name == name)


@dataclass(frozen=True, slots=True)
class Link:
    """A foreign key. nulled: what SET NULL sets.

    on_delete, on_update: "c" cascade, "n" set null, "d" set default, "a" and "r" are against it.

    equal: the operators between referenced and own columns; parent_equal: those among referenced columns.
    """

    table: Relation
    name: str
    columns: tuple[str, ...]
    referenced: Relation
    referenced_columns: tuple[str, ...]
    on_delete: str
    on_update: str
    nulled: tuple[str, ...]
    equal: tuple[str, ...]
    parent_equal: tuple[str, ...]

    def to_json(self) -> Facts:
        """As a fact."""
        return asdict(self)


def fires(events: int, *, replace: bool) -> bool:
    """Whether a trigger of these events fires when rows are inserted (or, with replace, updated)."""
    return bool(events & (_INSERT | (_UPDATE if replace else 0)))


def make_uniform(connection: Connection, *, local: bool) -> None:
    """Make values read as the same text as on any other server; a policy that would hide rows becomes an error.

    local: for the open transaction only. A pooler gives every transaction another session, and keeps what is set or
    prepared there for the next one.
    """
    if local:
        connection.prepare_threshold = None
    connection.execute(SQL["uniform"], {"local": local})


def shape_of(connection: Connection, relation: Relation) -> Shape | None:
    """A table's shape, None when there is none of that name. Raises NotAllowed when it may not be read."""
    row = connection.execute(SQL["relation"], {"schema": relation.schema, "name": relation.name}).fetchone()
    if row is None:
        return None
    oid, kind, may_read, *rights = row
    if kind not in ("r", "p"):
        raise BadUsage(f"{relation} is not a table", "name a table: views and foreign tables have no rows of their own")
    if not may_read:
        raise NotAllowed(f"this user may not read {relation}", "use its owner, or a user with pg_read_all_data")
    which = {"oid": oid}
    key = connection.execute(SQL["primary_key"], which).fetchall()
    guarded = {name for (name,) in connection.execute(SQL["guarded"], which)} if rights[-1] else set()
    return Shape(
        relation,
        kind,
        tuple(Column(*(*one, one[0] in guarded)) for one in connection.execute(SQL["columns"], which)),
        tuple(one for one, _ in key),
        tuple(one for _, one in key),
        tuple(Trigger(Relation(*one[:2]), *one[2:]) for one in connection.execute(SQL["triggers"], which)),
        *rights,
    )


def links_of(connection: Connection) -> list[Link]:
    """Every foreign key of a database."""
    found = []
    for row in connection.execute(SQL["links"], {}):
        schema, name, key, columns, other_schema, other_name, referenced, on_delete, on_update, *rest = row
        other = Relation(other_schema, other_name)
        pair = tuple(columns), other, tuple(referenced)
        found.append(Link(Relation(schema, name), key, *pair, on_delete, on_update, *map(tuple, rest)))
    return found


def wanted(connection: Connection, links: Sequence[Link], root: Relation, *, with_dependents: bool) -> list[Relation]:
    """The tables whose rows are looked at: one, or all that a DELETE on it reaches.

    Raises BadUsage or Refused where these can't be told: a row is in a table as well as in its partition.
    """
    if not with_dependents:
        return [root]
    rows = connection.execute(SQL["partitions"], {})
    whole = {Relation(schema, name): Relation(*rest) for schema, name, *rest in rows}
    if root in whole:
        fact = f"{root} is a partition of {whole[root]}, and the foreign keys belong to that table"
        raise BadUsage(
            fact, f"name that table: tabsync restore rows --table {whole[root]} --with-dependents --where ..."
        )
    tables = family(links, root)
    for link in links:
        takes = link.on_delete in ("c", "n") and whole.get(link.referenced) in tables
        if takes or (link.table in tables and whole.get(link.table) in tables):
            part = link.referenced if takes else link.table
            fact = f"foreign key {link.name} of {link.table} refers to the partition {part}, not to {whole[part]}"
            raise Refused(fact, "leave --with-dependents out, and restore its rows by a run of their own")
    return tables


def family(links: Iterable[Link], root: Relation) -> list[Relation]:
    """A table and those whose rows a DELETE on it takes along or cuts off: CASCADE all the way down, SET NULL once."""
    every = list(links)
    deleted, waiting = [root], [root]
    touched: list[Relation] = []
    while waiting:
        parent = waiting.pop()
        for link in every:
            if link.referenced != parent:
                continue
            if link.on_delete == "c" and link.table not in deleted:
                deleted.append(link.table)
                waiting.append(link.table)
            elif link.on_delete == "n" and link.table not in touched:
                touched.append(link.table)
    return deleted + [one for one in touched if one not in deleted]


def as_deleted_along(links: Iterable[Link]) -> list[Link]:
    """Foreign keys as a transaction sees them that deletes the rows which reference others itself, as it has to."""
    return [replace(one, on_delete="c") if one.on_delete in ("a", "r", "d") else one for one in links]


def groups(tables: Sequence[Relation], links: Iterable[Link]) -> list[list[Relation]]:
    """Tables in an order in which rows can be inserted; those that refer to each other in a circle are one group."""
    needs: dict[Relation, set[Relation]] = {one: set() for one in tables}
    for link in links:
        if link.table in needs and link.referenced in needs:
            needs[link.table].add(link.referenced)
    above = {one: _above(one, needs) for one in tables}
    ordered: list[list[Relation]] = []
    left = list(tables)
    while left:
        first = next(one for one in left if all(one in above[other] for other in above[one] if other in left))
        ordered.append([one for one in left if one == first or (one in above[first] and first in above[one])])
        left = [one for one in left if one not in ordered[-1]]
    return ordered


def parents_first(tables: Sequence[Relation], links: Iterable[Link]) -> list[Relation]:
    """Tables in an order in which rows can be inserted, circles apart."""
    return [one for group in groups(tables, links) for one in group]


def _above(table: Relation, needs: dict[Relation, set[Relation]]) -> set[Relation]:
    found: set[Relation] = set()
    waiting = [table]
    while waiting:
        new = needs[waiting.pop()] - found
        found |= new
        waiting += new
    return found


def common_columns(here: Shape, there: Shape) -> tuple[tuple[str, ...], list[str]]:
    """The columns to compare and write, and notes on those that aren't the same on both sides.

    here: the table that rows come back to; there: as it was backed up. A generated column is never written.
    Raises Refused when a column that must have a value has none in the backup.
    """
    theirs = {one.name: one for one in there.columns}
    common = tuple(one.name for one in here.columns if not one.generated and one.name in theirs)
    notes = []
    for one in here.columns:
        if one.name not in theirs and not one.generated:
            if one.not_null and not (one.has_default or one.identity):
                raise Refused(
                    f"column {one.name} of {here.relation} is NOT NULL without a default, and is not in the backup",
                    f"give it a default: alter table {here.relation} alter column {one.name} set default ...",
                )
            notes.append(f"column {one.name} was added after the backup: restored rows get its default")
        elif one.name in theirs and theirs[one.name].type != one.type:
            notes.append(f"column {one.name} was of type {theirs[one.name].type} and is of {one.type}")
    ours = {one.name for one in here.columns}
    notes += [f"column {one} is only in the backup: it is left out" for one in theirs if one not in ours]
    if missing := [one for one in here.key if one not in common]:
        raise Refused(
            f"the backup has no column {', '.join(missing)} of the primary key of {here.relation}",
            "restore the table next to it and compare by hand: tabsync restore tables",
        )
    return common, notes
