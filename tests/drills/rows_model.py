"""Random schemas, rows and mishaps for `restore rows`, and what a naive model in plain Python says of them.

The model knows rows as dictionaries of texts. It has no index, no order and no transaction: it looks at every row.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TypeAlias

from hypothesis import strategies as st

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
KEYS = ("int", "text", "uuid", "mood", "timestamptz", "numeric")
CONTENTS = ("text", "numeric", "float8", "json", "jsonb", "bytea", "text[]", "varchar(5)", "char(3)")
NAMES = ("t", "Order", "select", "a b", 'we"ird', "100% odd %s")
TAGS = ("1", "2", "3", "4", "5")
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


@dataclass(slots=True)
class Dice:
    """Choices, the first of them the simplest."""

    draw: Callable[..., int]

    def below(self, bound: int) -> int:
        return self.draw(st.integers(0, bound - 1))

    def one(self, options: Sequence[str]) -> str:
        return options[self.below(len(options))]

    def likely(self, percent: int) -> bool:
        return self.below(100) >= 100 - percent


@st.composite
def cases(draw: Callable[..., int]) -> Case:
    """An example."""
    dice = Dice(draw)
    tables = [_table(dice, number) for number in range((2, 3, 3, 4, 5)[dice.below(5)])]
    links: list[Link] = []
    for number in range(1 + dice.below(6)):
        links += _link(dice, number, tables, links)
    for table in tables:
        _refine(dice, table, links)
    rows = {one.name: [_row(dice, one) for _ in range(1 + dice.below(6))] for one in tables}
    root = dice.one([link.parent for link in links if link.delete == "cascade"] or [tables[0].name])
    root = tables[dice.below(len(tables))].name if dice.likely(30) else root
    case = Case(tables, links, rows, [], root, [], not dice.likely(25), not dice.likely(40), dice.likely(30), [])
    _point(dice, case)
    for table in tables:
        table.check_since = dice.likely(5)
    case.mishaps = [_mishap(dice, case, tables[dice.below(len(tables))]) for _ in range(1 + dice.below(5))]
    first = _mishap(dice, case, case.table(root))
    case.mishaps.insert(dice.below(3), Mishap("delete", root, first.tag) if dice.likely(70) else first)
    case.meanwhile = [_mishap(dice, case, tables[dice.below(len(tables))]) for _ in range(dice.below(2))]
    case.tags = [one for one in TAGS if not dice.likely(15)] or list(TAGS)
    return case


def _table(dice: Dice, number: int) -> Table:
    columns = [Column("tag", "int")]
    key = []
    for place in range((1, 1, 1, 2, 2, 0)[dice.below(6)]):
        kind = KEYS[dice.below(len(KEYS))]
        identity = ("", "", "by default", "always")[dice.below(4)] if kind == "int" and not place else ""
        columns.append(Column(("id", "Key 2")[place], kind, True, identity))
        key.append(columns[-1].name)
    for place in range(dice.below(3)):
        columns.append(Column(f"c{place}", CONTENTS[dice.below(len(CONTENTS))], default=dice.likely(20)))
    if dice.likely(20):
        columns.append(Column("twice", "int", generated=True))
    if dice.likely(10):
        columns.append(Column("n", "int", True, "always"))
    return Table(f"{NAMES[dice.below(len(NAMES))]}{number}", columns, key)


def _link(dice: Dice, number: int, tables: list[Table], links: list[Link]) -> list[Link]:
    child, parent = tables[dice.below(len(tables))], tables[dice.below(len(tables))]
    if not parent.unique and (not parent.key or dice.likely(30)):
        for place in range(1 + dice.below(2)):
            parent.columns.append(Column(f"u{place}", KEYS[dice.below(len(KEYS))]))
            parent.unique.append(f"u{place}")
    names = parent.unique if parent.unique and (not parent.key or dice.likely(50)) else parent.key
    own = [f"f{number}_{place}" for place in range(len(names))]
    delete = dice.one(("cascade", "cascade", "cascade", "set null", "set null", "no action", "restrict"))
    # A key that is part of the child's own, as that of an order's lines; not when others point at it already.
    inside = bool(child.key) and child is not parent and delete != "set null" and dice.likely(15)
    inside = inside and not any(one.parent == child.name for one in links)
    for name, of in zip(own, names, strict=True):
        child.columns.append(Column(name, parent.column(of).type, inside))
    child.key += own if inside else []
    not_null = not inside and delete != "set null" and child is not parent and dice.likely(15)
    for name in own if not_null else ():
        child.column(name).not_null = True
    link = Link(f"link {number}", child.name, own, parent.name, list(names), delete)
    link.update = ("no action", "no action", "no action", "cascade", "set null")[dice.below(5)]
    if inside or not_null:
        link.update = "no action"
    link.full = len(own) > 1 and dice.likely(25)
    link.cut = own[1:] if len(own) > 1 and not link.full and dice.likely(30) else own
    link.deferrable = ("", "", "deferrable", "deferrable initially deferred")[dice.below(4)]
    return [link]


def _refine(dice: Dice, table: Table, links: list[Link]) -> None:
    pointed = any(link.parent == table.name for link in links)
    plain = [one for one in table.columns if one.name[0] == "c"]
    if plain and dice.likely(15):
        plain[0].since = dice.one(("added", "dropped"))
        plain[0].type = "text"
    if not pointed and not table.unique and dice.likely(20):
        table.columns.append(Column("u0", "int"))
        table.unique.append("u0")
        table.late = dice.one(("", " deferrable", " deferrable initially deferred"))
    if not table.unique and dice.likely(20):
        table.split = table.key[0] if table.key else "tag"
        if table.column(table.split).identity:
            table.split = ""
    elif dice.likely(10):
        table.heir = True
    if dice.likely(20):
        kind = dice.one(("log", "stamp", "refuse", "hold", "keep", "rekey"))
        if kind == "rekey" and not (table.key and table.column("id").type == "int"):
            kind = "log"
        table.trigger = kind, bool(table.split) and dice.likely(50)
        if kind == "stamp":
            table.columns.append(Column("stamp", "text"))


def _row(dice: Dice, table: Table, tags: Sequence[str] = TAGS) -> Row:
    row: Row = {"tag": dice.one(tags)}
    for one in table.columns[1:]:
        empty = not one.not_null and dice.likely(15)
        row[one.name] = None if empty else dice.one(VALUES[one.type])
    return row


def _point(dice: Dice, case: Case) -> None:
    """Make the rows point at each other, and drop those that then fit no longer."""
    for link in case.links:
        for row in case.rows[link.table]:
            parents = case.rows[link.parent]
            target = parents[dice.below(len(parents))]
            empty = not case.table(link.table).column(link.columns[0]).not_null and dice.likely(20)
            for name, of in zip(link.columns, link.parents, strict=True):
                row[name] = None if empty else target[of]
    while any(_drop(case, table) for table in case.tables):
        pass


def _drop(case: Case, table: Table) -> bool:
    kept: list[Row] = []
    for row in case.rows[table.name]:
        fits = all(row[one.name] is not None for one in table.columns if one.not_null)
        for names in filter(None, (table.key, table.unique)):
            values = table.at(row, names)
            fits = fits and (None in values or values not in [table.at(one, names) for one in kept])
        links = [one for one in case.links if one.table == table.name]
        if fits and not any(dangles(case, link, row, case.rows) for link in links):
            kept.append(row)
    dropped = len(kept) < len(case.rows[table.name])
    case.rows[table.name] = kept
    return dropped


def _mishap(dice: Dice, case: Case, table: Table) -> Mishap:
    what = dice.one(("delete", "delete", "update", "update", "update", "rekey", "insert", "again", "truncate"))
    there = case.rows[table.name]
    tags = [str(one["tag"]) for one in there] or list(TAGS)
    mishap = Mishap(what, table.name, dice.one(tags))
    if what in ("insert", "again"):
        mishap.row = _row(dice, table, (*TAGS, TAKEN))
        like = there[dice.below(len(there))] if there else mishap.row
        kept = table.key if what == "again" else table.unique
        links = [name for link in case.links if link.table == table.name for name in link.columns]
        mishap.row |= {name: like[name] for name in (*kept, *links)}
    elif what == "update":
        names = [one.name for one in table.columns if not one.generated and one.identity != "always"]
        names = [one for one in names if one not in table.key]
        name = dice.one(names)
        mishap.row = {name: _row(dice, table)[name]}
    elif what == "rekey" and table.key:
        name = dice.one(table.key)
        mishap.row = {name: dice.one(VALUES[table.column(name).type])}
    return mishap
