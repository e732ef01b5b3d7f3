"""Random schemas, rows and mishaps for the model of `restore rows`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hypothesis import strategies as st

from tests.drills.rows_model import TAKEN, VALUES, Case, Column, Link, Mishap, Row, Table, dangles

KEYS = ("int", "text", "uuid", "mood", "timestamptz", "numeric")
CONTENTS = ("text", "numeric", "float8", "json", "jsonb", "bytea", "text[]", "varchar(5)", "char(3)")
NAMES = ("t", "Order", "select", "a b", 'we"ird', "100% odd %s")
TAGS = ("1", "2", "3", "4", "5")


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
    children = [case.table(link.table) for link in links if link.parent == root]
    if dice.likely(40):
        case.meanwhile.append(_mishap(dice, case, tables[dice.below(len(tables))]))
    elif children and dice.likely(50):
        child = children[dice.below(len(children))]
        new = _mishap(dice, case, child, "insert")
        if child.key and "id" in new.row:
            new.row["id"] = VALUES[child.column("id").type][-1]
        case.meanwhile.append(new)
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


def _mishap(dice: Dice, case: Case, table: Table, what: str = "") -> Mishap:
    what = what or dice.one(("delete", "delete", "update", "update", "update", "rekey", "insert", "again", "truncate"))
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
