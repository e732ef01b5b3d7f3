"""What a naive model in plain Python says of rows that `restore rows` compares and writes.

It knows rows as dictionaries of texts. It has no index, no order and no transaction: it looks at every row.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TypeAlias

Row: TypeAlias = dict[str, str | None]
Rows: TypeAlias = dict[str, list[Row]]

VALUES: dict[str, tuple[str, ...]] = {
    "int": ("1", "2", "3", "-4", "0", "50"),
    "text": ("a", "", "NULL", "\\N", "\\.", 'x\ty\n"{}', "\x01\u2028ü", "'%s'"),
    "uuid": tuple(f"{n}0000000-0000-4000-8000-000000000000" for n in range(1, 4)),
    "mood": ("good", "o'k", 'very "happy"'),
    "timestamptz": ("2025-01-01 00:00:00+00", "infinity", "2025-06-01 12:00:00.123456+00"),
    "numeric": ("1", "1.0", "2", "NaN", "Infinity"),
    "float8": ("0", "-0", "Infinity", "NaN", "0.1"),
    "json": ('{"a": 1}', '{"a":1}', "null"),
    "jsonb": ('{"a": [1]}', "null"),
    "bytea": ("\\x00ff", "\\x"),
    "text[]": ("{}", '{"x,y",NULL,"NULL"}', '{{"\\"q\\""}}'),
    "varchar(5)": ("abc", "x"),
    "char(3)": ("x  ", "abc"),
}
TAKEN = "9"
"""A tag that rows of the backup don't have, and that a later CHECK doesn't allow."""


@dataclass(slots=True)
class Column:
    """A column. identity: "", "by default" or "always"; since: "" or what befell it after the backup."""

    name: str
    type: str
    not_null: bool = False
    identity: str = ""
    generated: bool = False
    default: bool = False
    since: str = ""


@dataclass(slots=True)
class Link:
    """A foreign key. delete, update: what its ON clauses say; cut: the columns that SET NULL sets."""

    name: str
    table: str
    columns: list[str]
    parent: str
    parents: list[str]
    delete: str
    update: str = "no action"
    cut: list[str] = field(default_factory=list)
    full: bool = False
    deferrable: str = ""


@dataclass(slots=True)
class Table:
    """A table. split: the column it is partitioned by; heir: whether another inherits; trigger: (kind, on a part)."""

    name: str
    columns: list[Column]
    key: list[str]
    unique: list[str] = field(default_factory=list)
    late: str = ""
    split: str = ""
    heir: bool = False
    trigger: tuple[str, bool] = ("", False)
    check_since: bool = False

    def column(self, name: str) -> Column:
        return next(one for one in self.columns if one.name == name)

    def value(self, name: str, text: str | None) -> object:
        """What a value is equal to: 1.0 is 1."""
        if text is None or self.column(name).type != "numeric":
            return text
        return str(Decimal(text).normalize())

    def at(self, row: Row, names: Sequence[str]) -> tuple[object, ...]:
        return tuple(self.value(name, row[name]) for name in names)

    def compared(self) -> list[str]:
        """The columns that a backup has and the database too, without generated ones."""
        return [one.name for one in self.columns if not one.generated and not one.since]


@dataclass(slots=True)
class Mishap:
    """Something that happened to the database since: delete, update, insert or truncate."""

    what: str
    table: str
    tag: str
    row: Row = field(default_factory=dict)


@dataclass(slots=True)
class Case:
    """An example: what there was, what happened, what is asked for, and what happens before the undo."""

    tables: list[Table]
    links: list[Link]
    rows: Rows
    mishaps: list[Mishap]
    root: str
    tags: list[str]
    with_dependents: bool
    replace: bool
    without_triggers: bool
    meanwhile: list[Mishap]

    def table(self, name: str) -> Table:
        return next(one for one in self.tables if one.name == name)


@dataclass(slots=True)
class Found:
    """What the model says of a table: (state, new, old); same: how many are."""

    lines: list[tuple[str, Row, Row | None]] = field(default_factory=list)
    same: int = 0

    def of(self, *states: str) -> list[tuple[str, Row, Row | None]]:
        return [one for one in self.lines if one[0] in states]


def compare(case: Case, backup: Rows, live: Rows) -> dict[str, Found]:
    """Which rows of the backup are missing, changed, cut off or the same in the database."""
    found = {one.name: Found() for one in case.tables}
    picked: dict[str, list[int]] = {one.name: [] for one in case.tables}
    gone: dict[str, list[Row]] = {one.name: [] for one in case.tables}
    waiting = [(case.root, n) for n, row in enumerate(backup[case.root]) if row["tag"] in case.tags]
    while waiting:
        name, number = waiting.pop(0)
        if number in picked[name]:
            continue
        table, row = case.table(name), backup[name][number]
        equal = [n for n in picked[name] if _cells(table, backup[name][n]) == _cells(table, row)]
        picked[name].append(number)
        old = _there(table, row, live[name], len(equal))
        if old is not None and _cells(table, old) == _cells(table, row):
            found[name].same += 1
        elif old is not None:
            found[name].lines.append(("changed", row, old))
        else:
            found[name].lines.append(("missing", row, None))
            gone[name].append(row)
            if case.with_dependents:
                waiting += [
                    (link.table, n)
                    for link in case.links
                    if link.parent == name and link.delete == "cascade"
                    for n, child in enumerate(backup[link.table])
                    if points(case, link, child, row)
                ]
    for table in case.tables if case.with_dependents else ():
        for number, row in enumerate(backup[table.name]):
            if number not in picked[table.name] and table.key:
                old = _there(table, row, live[table.name], 0)
                new = _linked(case, table, row, old, gone) if old is not None else old
                if new != old and new is not None:
                    found[table.name].lines.append(("unlinked", new, old))
    return found


def lacking(case: Case, found: dict[str, Found], live: Rows) -> Counter[str]:
    """By foreign key, how many values that missing rows point at are nowhere."""
    told: Counter[str] = Counter()
    for link in case.links:
        child, parent = case.table(link.table), case.table(link.parent)
        there = {parent.at(one, link.parents) for one in live[parent.name]}
        there |= {parent.at(new, link.parents) for _, new, _ in found[parent.name].of("missing")}
        wanted = {child.at(new, link.columns) for _, new, _ in found[child.name].of("missing")}
        if count := len({one for one in wanted if None not in one} - there):
            told[link.name] = count
    return told


def after(case: Case, found: dict[str, Found], live: Rows) -> Rows:
    """The database with what was found written into it; None in place of what only it can know."""
    states = ("missing", "unlinked", "changed") if case.replace else ("missing", "unlinked")
    result: Rows = {}
    for table in case.tables:
        rows = list(live[table.name])
        for _, new, old in found[table.name].of(*states):
            if old is not None:
                rows.remove(old)
            rows.append((old or _fresh(table)) | {name: new[name] for name in table.compared()})
        for row in rows:
            row |= {one.name: _generated(row) for one in table.columns if one.generated}
        result[table.name] = rows
    return result


def broken(case: Case, rows: Rows, written: Rows) -> str:
    """The first constraint that rows violate, or "". written: those that a CHECK since looks at."""
    for table in case.tables:
        for names in (table.key, table.unique):
            values = [table.at(row, names) for row in rows[table.name]] if names else []
            values = [one for one in values if None not in one]
            if len(values) != len(set(values)):
                return f"unique {names} of {table.name}"
        if table.check_since and any(row["tag"] == TAKEN for row in written[table.name]):
            return f"check of {table.name}"
    for link in case.links:
        if any(dangles(case, link, row, rows) for row in rows[link.table]):
            return link.name
    return ""


def dangles(case: Case, link: Link, row: Row, rows: Rows) -> bool:
    """Whether a row points at nothing."""
    values = case.table(link.table).at(row, link.columns)
    if None in values:
        return link.full and any(one is not None for one in values)
    return not any(points(case, link, row, one) for one in rows[link.parent])


def points(case: Case, link: Link, child: Row, parent: Row) -> bool:
    """Whether one row points at another by a foreign key."""
    values = case.table(link.table).at(child, link.columns)
    return None not in values and values == case.table(link.parent).at(parent, link.parents)


def _cells(table: Table, row: Row) -> tuple[str | None, ...]:
    return tuple(row[name] for name in table.compared())


def _there(table: Table, row: Row, live: Sequence[Row], nth: int) -> Row | None:
    if table.key:
        return next((one for one in live if table.at(one, table.key) == table.at(row, table.key)), None)
    equal = [one for one in live if _cells(table, one) == _cells(table, row)]
    return equal[nth] if nth < len(equal) else None


def _linked(case: Case, table: Table, row: Row, old: Row, gone: Rows) -> Row:
    new = dict(old)
    for link in case.links:
        if link.table != table.name or link.delete != "set null":
            continue
        if not any(points(case, link, row, one) for one in gone[link.parent]):
            continue
        rest = [name for name in link.columns if name not in link.cut]
        if all(old[name] is None for name in link.cut) and table.at(old, rest) == table.at(row, rest):
            new |= {name: row[name] for name in link.cut}
    return new


def _fresh(table: Table) -> Row:
    return {one.name: "new" if one.since == "added" else None for one in table.columns if one.since != "dropped"}


def _generated(row: Row) -> str | None:
    return None if row["tag"] is None else str(int(row["tag"]) * 2)
