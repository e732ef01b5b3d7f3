"""Writing rows into the database that people use: temporary tables of what is to be, and statements that count.

Everything is in one transaction with bounds on waiting; whoever calls compares the counts and rolls back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import LiteralString

import psycopg
from psycopg import sql

from tabsync.backups.restore.rows.as_owner import check_constraints, let_read, write
from tabsync.backups.restore.rows.refused import NOTHING, message_of
from tabsync.backups.restore.rows.shape import SQL, Link, Shape, Trigger, make_uniform, shape_of
from tabsync.copies.row_text import Row, ask, columns, copy_in, matches, spelled, tell, whole
from tabsync.kernel.errors import FailedPartway, Refused
from tabsync.kernel.step import Facts
from tabsync.postgres.as_owner import without_event_triggers
from tabsync.postgres.catalog import Relation, check_primary, prove_target
from tabsync.postgres.connect import Connection, check_harmless
from tabsync.postgres.settings import Limits

LIMITS = Limits(lock_timeout=5_000, statement_timeout=600_000, idle_in_transaction_timeout=60_000)

_LOAD = sql.SQL("create temporary table {} ({}) on commit drop")
_LOCK = sql.SQL("select from {table} as t join {rows} as r on {pairs} for update of t")
_AS_THEY_WERE = sql.SQL("select count(*) from {table} as t join {rows} as r on {pairs} where {here} = {there}")
_COUNT_WHOLE = sql.SQL("select count(*) from {table} as t where {here} in (select {there} from {rows} as r)")
_THERE_WHOLE = sql.SQL(
    "select coalesce(sum(least(h.many, w.many)), 0) from"
    " (select {there} as row, count(*) as many from {rows} as r group by 1) as w join"
    " (select {here} as row, count(*) as many from {table} as t group by 1) as h using (row)"
)
_INSERT = sql.SQL("insert into {into} ({columns}) overriding system value select {columns} from {rows}")
_UPDATE = sql.SQL("update {table} as t set {pairs_set} from {rows} as r where {pairs}")
_DELETE = sql.SQL("delete from {table} as t using {rows} as r where {pairs}")
_DELETE_WHOLE = sql.SQL(
    "delete from {table} as t using (select t.tableoid as part, t.ctid as place, {here} as row,"
    " pg_catalog.row_number() over (partition by {here}) as nth from {table} as t) as n"
    " join (select {there} as row, pg_catalog.count(*) as many from {rows} as r group by 1) as w"
    " on n.row operator(pg_catalog.=) w.row"
    " where t.tableoid operator(pg_catalog.=) n.part and t.ctid operator(pg_catalog.=) n.place"
    " and n.nth operator(pg_catalog.<=) w.many"
)
_POINTING = sql.SQL("select count(*) from {child} as c join {rows} as r on {pairs}")
_LED = sql.SQL(
    "select count(*) from {child} as c join {rows} as r on {pairs} join {after} as a on {keys} where {old} <> {new}"
)
_TRIGGER = sql.SQL("alter table only {} {} trigger {}")


@dataclass(frozen=True, slots=True)
class Table:
    """A table that is written to, and the columns that are written."""

    shape: Shape
    columns: tuple[str, ...]

    @property
    def relation(self) -> Relation:
        """Its name."""
        return self.shape.relation

    @property
    def rest(self) -> list[str]:
        """The columns that could be written and aren't: they came after the backup."""
        return [one.name for one in self.shape.columns if not one.generated and one.name not in self.columns]

    def load(self, live: Connection, name: str, rows: Iterable[Row]) -> Loaded:
        """Copy rows into a temporary table of the same types; it goes with the transaction."""
        _check_guarded(self)
        made = sql.Identifier("pg_temp", name)
        # The types behind domains: to read a value of a domain runs its CHECK, which is for the owner to run.
        fields = [
            sql.SQL("{} {}").format(sql.Identifier(one), spelled(self.shape.column(one).base)) for one in self.columns
        ]
        with without_event_triggers(live):
            tell(live, _LOAD.format(made, sql.SQL(", ").join(fields)))
            let_read(live, made, self.shape)
        return Loaded(self, made, copy_in(live, made, rows))


@dataclass(frozen=True, slots=True)
class Loaded:
    """Rows in a temporary table. count: how many."""

    table: Table
    name: sql.Identifier
    count: int

    def lock(self, live: Connection) -> None:
        """Lock the rows of the same key, or, without a key, the table against writers."""
        shape = self.table.shape
        if shape.key:
            tell(live, _LOCK.format(table=shape.source(), rows=self.name, pairs=self._keys()))
        else:
            live.execute(sql.SQL("lock table {} in share row exclusive mode").format(shape.relation.identifier()))

    def unchanged(self, live: Connection) -> int:
        """How many rows of the database are just like these."""
        template = _AS_THEY_WERE if self.table.shape.key else _THERE_WHOLE
        return _number(ask(live, template.format(**self._words())))

    def alike(self, live: Connection) -> int:
        """Without a key: how many rows of the database are equal to one of these."""
        return _number(ask(live, _COUNT_WHOLE.format(**self._words())))

    def insertion(self) -> sql.Composed:
        """The statement that inserts them."""
        return _INSERT.format(**self._words())

    def deletion(self) -> sql.Composed:
        """The statement that deletes the rows of the same key; without a key as many as these of equal rows."""
        return (_DELETE if self.table.shape.key else _DELETE_WHOLE).format(**self._words())

    def update(self, live: Connection, names: Iterable[str]) -> int:
        """Make the rows of the same key like these in some columns: those that differ in one of them."""
        pairs = [sql.SQL("{} = {}").format(sql.Identifier(one), sql.Identifier("r", one)) for one in names]
        statement = _UPDATE.format(**self._words(), pairs_set=sql.SQL(", ").join(pairs))
        return write(live, [statement], [self.table.shape])[0]

    def pointed_at(self, live: Connection, link: Link, along: Loaded | None) -> int:
        """How many rows would go, or be cut off, with these by a foreign key.

        along: rows of the table that points, all of them there, which are not counted.
        """
        child = shape_of(live, link.table)
        if child is None:
            return 0
        pairs = matches("r", link.referenced_columns, "c", link.columns, link.equal)
        pointing = _number(ask(live, _POINTING.format(child=child.source(), rows=self.name, pairs=pairs)))
        if along is None or not pointing or not set(link.columns) <= set(along.table.columns):
            return pointing
        return pointing - _number(ask(live, _POINTING.format(child=along.name, rows=self.name, pairs=pairs)))

    def led_by(self, live: Connection, link: Link, after: Loaded) -> int:
        """How many rows an ON UPDATE of a foreign key would change when these become like others of the same key."""
        child, shape = shape_of(live, link.table), self.table.shape
        if child is None or not set(link.referenced_columns) <= set(self.table.columns):
            return 0
        query = _LED.format(
            child=child.source(),
            rows=self.name,
            after=after.name,
            pairs=matches("r", link.referenced_columns, "c", link.columns, link.equal),
            keys=matches("a", shape.key, "r", shape.key, shape.equal),
            old=whole(link.referenced_columns, "r"),
            new=whole(link.referenced_columns, "a"),
        )
        return _number(ask(live, query))

    def beside(self) -> sql.Composed:
        """A query of the database's rows of the same key, followed by these."""
        query = sql.SQL("select {}, {} from {} as t join {} as r on {}")
        names = self.table.columns
        parts = columns(names, "t"), columns(names, "r"), self.table.shape.source(), self.name, self._keys()
        return query.format(*parts)

    def rest(self, names: Sequence[str]) -> sql.Composed:
        """A query of the database's rows of the same key: the key, and some other columns as one text."""
        key = columns(self.table.shape.key, "t")
        query = sql.SQL("select {}, {} from {} as t join {} as r on {}")
        return query.format(key, whole(names, "t"), self.table.shape.source(), self.name, self._keys())

    def all_rows(self) -> sql.Composed:
        """A query of these rows alone."""
        return sql.SQL("select {} from {}").format(columns(self.table.columns), self.name)

    def _keys(self) -> sql.Composed:
        shape = self.table.shape
        return matches("t", shape.key, "r", shape.key, shape.equal)

    def _words(self) -> dict[str, sql.Composable]:
        names, shape = self.table.columns, self.table.shape
        words: dict[str, sql.Composable] = {"table": shape.source(), "rows": self.name, "columns": columns(names)}
        words |= {"into": shape.relation.identifier()}  # INSERT knows no ONLY
        words |= {"here": whole(names, "t"), "there": whole(names, "r")}
        return words | ({"pairs": self._keys()} if shape.key else {})


def _check_guarded(table: Table) -> None:
    """To read a value of a composite type runs the CHECKs of the domains in it: as a superuser, for one who isn't."""
    for one in table.columns if table.shape.owner else ():
        column = table.shape.column(one)
        if column.guarded:
            raise Refused(
                f"{column.type} of column {one} has a domain within: its CHECK would run as a superuser; {NOTHING}",
                f"connect as the owner, {table.shape.owner}, or as another role that isn't a superuser",
            )


def differing(names: Sequence[str], pairs: Iterable[tuple[Row, Row | None]]) -> list[str]:
    """The columns in which rows differ from what they are beside; None beside a row: there is nothing to compare."""
    found = {
        name
        for row, other in pairs
        if other is not None
        for name, one, its in zip(names, row, other, strict=True)
        if one != its
    }
    return sorted(found)


def check_led(live: Connection, before: Loaded, after: Loaded, links: Sequence[Link]) -> None:
    """Refuse an update that would change rows of other tables, which nobody was shown and no undo knows."""
    relation = before.table.relation
    for link in links:
        leads = link.referenced == relation and link.on_update in ("c", "n", "d")
        if leads and (led := before.led_by(live, link, after)):
            raise Refused(
                f"{led} rows of {link.table} would be changed by ON UPDATE of foreign key {link.name}; {NOTHING}",
                "choose rows that no other row references, or change these by hand",
            )


@contextmanager
def writing(live: Connection, target: Facts) -> Iterator[None]:
    """One transaction of writes on the proven target; an error of PostgreSQL rolls it back and is told as a refusal."""
    prove_target(live, target)
    check_primary(live)
    check_harmless(live)
    live.execute("begin")
    try:
        make_uniform(live, local=True)
        live.execute("set constraints all deferred")  # where a circle of foreign keys allows it
        yield
        live.execute("set constraints all immediate")
    except BaseException as error:
        if not live.broken:
            live.execute("rollback")
        if isinstance(error, psycopg.Error):
            raise message_of(error, _event_triggers(live)) from error
        raise


def commit(live: Connection) -> None:
    """Commit; a connection that is lost in this moment leaves it open whether that happened."""
    try:
        live.execute("commit")
    except psycopg.OperationalError as error:
        raise FailedPartway(
            f"the connection was lost while committing: {str(error).splitlines()[0]}",
            "to see whether the rows were written: tabsync restore rows --dry-run",
        ) from error


@contextmanager
def silenced(live: Connection, shapes: Sequence[Shape], *, really: bool) -> Iterator[None]:
    """Disable the tables' own triggers for the transaction; foreign keys go on being checked."""
    off = [trigger for shape in shapes for trigger in shape.triggers] if really else []
    with without_event_triggers(live):
        for trigger in off:
            live.execute(_switch("disable", trigger))
    yield
    if off:
        check_constraints(live, shapes)  # ALTER TABLE wants no pending event
    with without_event_triggers(live):
        for trigger in off:
            live.execute(_switch("enable always" if trigger.enabled == "A" else "enable", trigger))


def table_of(live: Connection, facts: Facts) -> Table:
    """The table that facts tell of, if it is still of that shape. Refused otherwise."""
    relation = Relation(facts["schema"], facts["name"])
    shape = shape_of(live, relation)
    if shape is None or list(shape.key) != facts["key"] or not set(facts["columns"]) <= _writable(shape):
        raise Refused(f"table {relation} was altered during the comparison; {NOTHING}", "run the command again")
    return Table(shape, tuple(facts["columns"]))


def touched(tables: Sequence[Table], facts: Sequence[Facts]) -> list[Shape]:
    """The tables with a difference: of the others not even the triggers are touched."""
    states = ("missing", "unlinked", "changed")
    return [one.shape for one, known in zip(tables, facts, strict=True) if any(known[state] for state in states)]


def _event_triggers(live: Connection) -> list[str]:
    if live.broken:
        return []
    return [row[0] for row in live.execute(SQL["event_triggers"])]


def _switch(how: LiteralString, trigger: Trigger) -> sql.Composed:
    return _TRIGGER.format(trigger.table.identifier(), sql.SQL(how), sql.Identifier(trigger.name))


def _writable(shape: Shape) -> set[str]:
    return {one.name for one in shape.columns if not one.generated}


def _number(rows: list[Row]) -> int:
    return int(rows[0][0] or 0)
