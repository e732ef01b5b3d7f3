"""Tables of the model of `restore rows` in two databases: built, befallen by mishaps, read."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import psycopg
from psycopg import sql

from tabsync.backups.restore.rows.restore import Difference
from tabsync.postgres import embedded
from tabsync.workspace import Workspace
from tests.drills.rows_copied import compared_with
from tests.drills.rows_model import VALUES, Case, Link, Mishap, Row, Rows, Table

SCHEMA = "Ex 1%s"
UNIFORM = "set datestyle = 'ISO, YMD'; set timezone = 'UTC'; set extra_float_digits = 3; set bytea_output = 'hex'"
_LOGGED = "log of triggers"
_FUNCTIONS = """
create type {0}.mood as enum ('good', 'o''k', 'very "happy"');
create table {0}."log of triggers" (what text);
create function {0}.log() returns trigger language plpgsql as
  $$ begin insert into {0}."log of triggers" values (tg_op); return null; end $$;
create function {0}.stamp() returns trigger language plpgsql as $$ begin new.stamp := 'set'; return new; end $$;
create function {0}.refuse() returns trigger language plpgsql as $$ begin raise exception 'I refuse'; end $$;
create function {0}.hold() returns trigger language plpgsql as $$ begin return null; end $$;
create function {0}.rekey() returns trigger language plpgsql as $$ begin new.id := 77; return new; end $$;
"""
_TRIGGERS = {
    "log": "after insert or update or delete",
    "stamp": "before insert or update",
    "refuse": "before insert or update",
    "hold": "before insert",
    "keep": "before delete",
    "rekey": "before insert",
}


def name(*parts: str) -> sql.Identifier:
    return sql.Identifier(SCHEMA, *parts)


@dataclass(slots=True, repr=False)
class Place:
    """Two databases of one server: the one that people use, and the one that stands for the backup's copy."""

    workspace: Workspace
    server: embedded.Server
    live: psycopg.Connection
    copy: psycopg.Connection

    def build(self, case: Case) -> None:
        """The tables with their rows on both sides."""
        shutil.rmtree(self.workspace.home / "undo", ignore_errors=True)
        for connection in (self.copy, self.live):
            connection.execute(sql.SQL("drop schema if exists {0} cascade; create schema {0}").format(name()))
            connection.execute(sql.SQL(_FUNCTIONS).format(name()))
            for table in case.tables:
                create(connection, table)
            for link in case.links:
                connection.execute(key(link))
            connection.execute("set session_replication_role = replica")
            for table in case.tables:
                insert(connection, table, case.rows[table.name])
                if table.heir:
                    insert(connection, table, case.rows[table.name][:2], f"{table.name} heir")
            connection.execute("reset session_replication_role")

    def befall(self, case: Case) -> None:
        """Let the mishaps happen, and the changes of the schema since."""
        for one in case.mishaps:
            happen(self.live, case, one)
        for table in case.tables:
            for column in table.columns:
                if column.since:
                    how = "drop column {}" if column.since == "dropped" else "add column {} text not null default 'new'"
                    change = sql.SQL("alter table {} " + how)
                    self.live.execute(change.format(name(table.name), sql.Identifier(column.name)))
            if table.check_since:
                self.live.execute(sql.SQL("alter table {} add check (tag <> 9) not valid").format(name(table.name)))
            if table.trigger[0]:
                self.live.execute(trigger(table))

    def rows(self, connection: psycopg.Connection, case: Case) -> Rows:
        """Every row of the case's tables as text."""
        return {table.name: read(connection, table, table.split) for table in case.tables}

    def rest(self, case: Case) -> list[object]:
        """What must stay as it is whatever happens: rows of heirs, triggers and whether they are enabled."""
        triggers = self.live.execute(
            "select tgrelid::regclass::text, tgname, tgenabled from pg_trigger where not tgisinternal order by 1, 2"
        ).fetchall()
        heirs = [read(self.live, table, "", f"{table.name} heir") for table in case.tables if table.heir]
        return [triggers, heirs]

    def logged(self) -> int:
        row = self.live.execute(sql.SQL("select count(*) from {}").format(name(_LOGGED))).fetchone()
        assert row is not None
        return int(row[0])

    def compared(self, case: Case) -> AbstractContextManager[Difference]:
        """What the comparison's own step finds, without the steps that make the copy."""
        table, copy = {"schema": SCHEMA, "name": case.root}, self.copy.info.dbname
        return compared_with(
            self.workspace, self.server, copy, table, where(case), with_dependents=case.with_dependents
        )


def where(case: Case) -> str:
    return f"tag in ({', '.join(case.tags)})"


def create(connection: psycopg.Connection, table: Table) -> None:
    """A table, its parts, and the one that inherits."""
    parts: list[sql.Composable] = []
    for one in table.columns:
        if one.since == "added":
            continue
        kind = sql.SQL("{}.mood").format(name()) if one.type == "mood" else sql.SQL(one.type)
        part = sql.SQL("{} {}").format(sql.Identifier(one.name), kind)
        part = part + sql.SQL(" not null" if one.not_null else "")
        part += sql.SQL(f" generated {one.identity} as identity" if one.identity else "")
        part += sql.SQL(" generated always as (tag * 2) stored" if one.generated else "")
        if one.default:
            part += sql.SQL(" default {}::{}").format(VALUES[one.type][-1], kind)
        parts.append(part)
    for word, names in (("primary key", table.key), ("unique", table.unique)):
        if names:
            parts.append(sql.SQL("{} ({}){}").format(sql.SQL(word), columns(names), sql.SQL(table.late)))
    split = sql.SQL(" partition by list ({})").format(sql.Identifier(table.split)) if table.split else sql.SQL("")
    connection.execute(sql.SQL("create table {} ({}){}").format(name(table.name), sql.SQL(", ").join(parts), split))
    if table.split:
        value = VALUES[table.column(table.split).type][0]
        for which, values in (("one", sql.SQL("for values in ({})").format(value)), ("rest", sql.SQL("default"))):
            made = sql.SQL("create table {} partition of {} {}")
            connection.execute(made.format(name(f"{table.name} {which}"), name(table.name), values))
    if table.heir:
        heir = sql.SQL("create table {} () inherits ({})").format(name(f"{table.name} heir"), name(table.name))
        connection.execute(heir)


def key(link: Link) -> sql.Composed:
    """A foreign key."""
    cut = sql.SQL(" ({})").format(columns(link.cut)) if link.cut != link.columns and link.delete == "set null" else None
    return sql.SQL("alter table {} add constraint {} foreign key ({}) references {} ({}){}").format(
        name(link.table),
        sql.Identifier(link.name),
        columns(link.columns),
        name(link.parent),
        columns(link.parents),
        sql.SQL(" match full" if link.full else "")
        + sql.SQL(f" on delete {link.delete}")
        + (cut or sql.SQL(""))
        + sql.SQL(f" on update {link.update} {link.deferrable}"),
    )


def trigger(table: Table) -> sql.Composed:
    kind, on_part = table.trigger
    on = f"{table.name} rest" if on_part else table.name
    function = "hold" if kind == "keep" else kind
    return sql.SQL("create trigger {} {} on {} for each row execute function {}()").format(
        sql.Identifier(f"{kind} it"), sql.SQL(_TRIGGERS[kind]), name(on), name(function)
    )


def columns(names: Sequence[str]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, names))


def insert(connection: psycopg.Connection, table: Table, rows: Sequence[Row], into: str = "") -> None:
    """Insert rows with all their values."""
    names = [one.name for one in table.columns if not one.generated and one.since != "added"]
    if not rows:
        return
    values = sql.SQL(", ").join(
        sql.SQL("({})").format(sql.SQL(", ").join(sql.Literal(row[one]) for one in names)) for row in rows
    )
    start = sql.SQL("insert into {} ({}) overriding system value values ").format(
        name(into or table.name), columns(names)
    )
    connection.execute(start + values)


def happen(connection: psycopg.Connection, case: Case, mishap: Mishap) -> bool:
    """One mishap, unless the database itself refuses it."""
    table = case.table(mishap.table)
    words = {"table": name(table.name), "tag": sql.Literal(mishap.tag)}
    try:
        if mishap.what == "delete":
            connection.execute(sql.SQL("delete from {table} where tag = {tag}").format(**words))
        elif mishap.what == "truncate":
            connection.execute(sql.SQL("truncate only {table}" if table.heir else "truncate {table}").format(**words))
        elif mishap.what in ("update", "rekey"):
            for column, value in mishap.row.items():
                query = sql.SQL("update only {table} set {column} = {value} where tag = {tag}")
                query = sql.SQL("update {table} set {column} = {value} where tag = {tag}") if table.split else query
                query_ = query.format(**words, column=sql.Identifier(column), value=sql.Literal(value))
                connection.execute(query_)
        else:
            insert(connection, table, [mishap.row])
    except psycopg.Error as error:
        assert not isinstance(error, psycopg.errors.SyntaxError), error
        return False
    return True


def read(connection: psycopg.Connection, table: Table, split: str, of: str = "") -> list[Row]:
    """The rows of a table as texts, in an order of their own."""
    there = connection.execute(
        "select attname from pg_attribute where attrelid = format('%%I.%%I', %s::text, %s::text)::regclass"
        " and attnum > 0 and not attisdropped order by attnum",
        [SCHEMA, of or table.name],
    ).fetchall()
    names = [str(one[0]) for one in there]
    texts = [
        sql.SQL("case when {0} is not null then format('%s', {0}) end").format(sql.Identifier(one)) for one in names
    ]
    only = sql.SQL("" if split else "only ") + name(of or table.name)
    query = sql.SQL("select {} from {}").format(sql.SQL(", ").join(texts), only)
    return [dict(zip(names, row, strict=True)) for row in connection.execute(query).fetchall()]


def same(left: Rows, right: Rows, without: Sequence[str] = ()) -> bool:
    """Whether the same rows are in all tables, whatever their order."""
    return frozen(left, without) == frozen(right, without)


def frozen(rows: Rows, without: Sequence[str] = ()) -> dict[str, Counter[tuple[tuple[str, str | None], ...]]]:
    return {
        table: Counter(tuple(sorted((k, v) for k, v in row.items() if k not in without)) for row in there)
        for table, there in rows.items()
    }
