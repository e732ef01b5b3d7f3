"""What a comparison of rows works with: the two sessions, the tables on both sides, and how rows are looked up."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from psycopg import sql

from tabsync.backups.restore.rows.roles import Guarded, notes_on
from tabsync.backups.restore.rows.shape import Link, Shape
from tabsync.copies.row_text import Row, ask, columns, matches, spelled, whole
from tabsync.kernel.step import Facts
from tabsync.postgres.catalog import Relation
from tabsync.postgres.connect import Connection

DIFF = "diff"
PARENTS = "parents.jsonl"
MISSING, CHANGED, UNLINKED, SAME = "missing", "changed", "unlinked", "same"

_BY_KEY = sql.SQL(
    "select k.n, {columns} from unnest({arrays}) with ordinality as k({names}, n) join {table} as t on {pairs}"
)
_BY_WHOLE = sql.SQL("select {whole}, count(*) from {table} as t where {whole} = any($1::text[]) group by 1")


@dataclass(slots=True)
class Member:
    """A table of the comparison. here: in the database; there: in the copy; columns: what is compared and written.

    present: without a primary key, how many rows the database has that are equal to missing ones; stuck: how many
    changed rows have another value in a column that no UPDATE may set; guarded: whose roles are guarded, if it is this
    table; stays: how many rows differ in a column that they keep; given: how many missing ones have a role.
    """

    number: int
    here: Shape
    there: Shape
    columns: tuple[str, ...]
    notes: list[str]
    path: Path
    counts: Counter[str] = field(default_factory=Counter)
    present: int = 0
    stuck: Counter[str] = field(default_factory=Counter)
    guarded: Guarded | None = None
    stays: Counter[str] = field(default_factory=Counter)
    given: Counter[str] = field(default_factory=Counter)

    def to_write(self, new: Row, old: Row | None) -> Row:
        """A row of the copy as it may be written: who is there keeps the role. old: the database's row."""
        if self.guarded is None:
            return new
        role = self.guarded.wiring.role
        if old is None:
            value = new[self.columns.index(role)] if role in self.columns else None
            self.given.update([value] if value is not None and self.guarded.raised(value) else [])
            return new
        row = list(new)
        for name in self.guarded.stays(self.here):
            at = self.columns.index(name) if name in self.columns else None
            if at is not None and row[at] != old[at]:
                row[at] = old[at]
                self.stays[name] += 1
        return tuple(row)

    def always(self) -> list[tuple[str, int]]:
        """The columns that no UPDATE may set, with their places."""
        return [
            (one.name, self.columns.index(one.name))
            for one in self.here.columns
            if one.identity == "a" and one.name in self.columns
        ]

    @property
    def relation(self) -> Relation:
        """The table's name."""
        return self.here.relation

    @property
    def picked(self) -> sql.Identifier:
        """The temporary table of those of its rows that were found in the copy."""
        return sql.Identifier("pg_temp", f"picked_{self.number}")

    def to_json(self) -> Facts:
        """What the ledger and the next plan need to know of it; no values."""
        return {
            "schema": self.relation.schema,
            "name": self.relation.name,
            "columns": list(self.columns),
            "key": list(self.here.key),
            "triggers": sorted({(one.name, one.events) for one in self.here.triggers}),
            "may": {"insert": self.here.may_insert, "update": self.here.may_update, "own": self.here.owns},
            "notes": [
                *self.notes,
                *(notes_on(self.stays, self.given, self.guarded.wiring.role) if self.guarded else ()),
            ],
            "roles_given": dict(self.given),
            "role_stays": self.guarded is not None,
            "file": self.path.name,
            "present": self.present,
            "stuck": dict(self.stuck),
            **{state: self.counts[state] for state in (MISSING, CHANGED, UNLINKED, SAME)},
        }


@dataclass(slots=True)
class Comparison:
    """A comparison at work: the copy, the database, the tables and their foreign keys."""

    copy: Connection
    live: Connection
    members: dict[Relation, Member]
    links: list[Link]
    with_dependents: bool


def digest_of_diff(diff: Path, files: Iterable[str]) -> str:
    """SHA-256 over the differences of all tables, hex."""
    total = hashlib.sha256()
    for name in files:
        with (diff / name).open("rb") as file:
            total.update(hashlib.file_digest(file, "sha256").digest())
    return total.hexdigest()


def by_key(live: Connection, member: Member, rows: Sequence[Row]) -> list[Row | None]:
    """The database's row for each row of the copy, or None."""
    at = [5 + member.columns.index(name) for name in member.here.key]
    return looked_up(live, member.here, member.columns, [tuple(row[one] for one in at) for row in rows])


def looked_up(connection: Connection, shape: Shape, names: Sequence[str], keys: Sequence[Row]) -> list[Row | None]:
    """Some columns of the row of each primary key, None where there is no such row."""
    numbers = [f"k{number}" for number in range(len(shape.key))]
    query = _BY_KEY.format(
        columns=columns(names, "t"),
        arrays=_arrays([shape.column(name).bare for name in shape.key]),
        names=columns(numbers),
        table=shape.source(),
        pairs=matches("t", shape.key, "k", numbers, shape.equal),
    )
    found: list[Row | None] = [None] * len(keys)
    for number, *row in ask(connection, query, *([key[at] for key in keys] for at in range(len(shape.key)))):
        found[int(number or 0) - 1] = tuple(row)
    return found


def by_whole(live: Connection, member: Member, rows: Sequence[Row]) -> list[Row | None]:
    """Without a key, a row is there when the database has as many that are equal in every column."""
    query = _BY_WHOLE.format(whole=whole(member.columns, "t"), table=member.here.source())
    counts = {text: int(count or 0) for text, count in ask(live, query, list({row[4] for row in rows}))}
    member.present += sum(counts.get(row[4], 0) for row in rows if int(row[3] or 0) == counts.get(row[4], 0) + 1)
    return [row[5:] if int(row[3] or 0) <= counts.get(row[4], 0) else None for row in rows]


def those_there(
    live: Connection, shape: Shape, names: Sequence[str], equal: Sequence[str], rows: Sequence[Row]
) -> set[int]:
    """Which rows, by number from 1, are values that a table has in some columns. equal: the columns' operators."""
    numbers = [f"k{number}" for number in range(len(names))]
    query = _BY_KEY.format(
        columns=sql.SQL("null"),
        arrays=_arrays([shape.column(name).bare for name in names]),
        names=columns(numbers),
        table=shape.source(),
        pairs=matches("t", names, "k", numbers, equal),
    )
    values = ([row[number] for row in rows] for number in range(len(names)))
    return {int(row[0] or 0) for row in ask(live, query, *values)}


def _arrays(types: Sequence[str]) -> sql.Composed:
    return sql.SQL(", ").join(
        sql.SQL("${}::{}[]").format(spelled(str(number)), spelled(name)) for number, name in enumerate(types, start=1)
    )
