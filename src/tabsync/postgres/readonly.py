"""Read-only enforcement: statements that only read.

A READ ONLY transaction is not enough: PostgreSQL lets pg_terminate_backend, pg_reload_conf, session locks and every
other function with effects outside the tables run in it. So a statement is parsed (one statement, and of a kind that
reads), every function that it or a view behind it can call is looked up, and what we don't know is refused. Then it
runs in a READ ONLY transaction with time limits: https://www.postgresql.org/docs/current/sql-set-transaction.html

This holds off mistakes, tricks with quoting, and functions planted in the database. It is no substitute for
connecting as a role that may only read: another session could still replace a function between look-up and run.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import psycopg
import sqlglot
from psycopg import pq
from psycopg import sql as composed
from psycopg.rows import dict_row, tuple_row
from sqlglot import exp
from sqlglot.errors import ParseError, SqlglotError

from tabsync.kernel.errors import Refused
from tabsync.postgres.connect import Connection, resolve_as_application, resolve_in, resolve_in_catalog
from tabsync.postgres.known_functions import (
    ALLOWED_OF_EXTENSIONS,
    ALLOWED_VOLATILE,
    KNOWN_SIDE_EFFECTS,
    SIDE_EFFECTS_NOT_VOLATILE,
)
from tabsync.postgres.queries import named
from tabsync.postgres.scan import Names, names_in, scan

_EXPLAIN = re.compile(r"\s*explain\b\s*(?:\([^()]*\)|(?:(?:analyze|verbose)\b\s*)*)", re.IGNORECASE)
_SHOW = re.compile(r"\s*show\s+(?:[a-z_][\w.]*|time\s+zone)\s*;?\s*", re.IGNORECASE)
_READING = ("select", "with", "values", "table", "(")
_WRITES = (exp.Insert, exp.Update, exp.Delete, exp.Merge, exp.Into, exp.Lock, exp.DDL, exp.Command, exp.Copy)

# sqlglot warns on its logger about what it doesn't know, DO and CALL for instance; that is no concern of a person.
logging.getLogger("sqlglot").setLevel(logging.ERROR)


@dataclass(frozen=True, slots=True)
class Rows:
    """What a reading statement gave. cut: there were more rows than max_rows; seconds: how long it took."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    cut: bool
    seconds: float


def check_sql(sql: str) -> list[str]:
    """What is wrong with a SQL text that may write: only whether it can be parsed. [] when nothing is."""
    try:
        statements = sqlglot.parse(sql, dialect="postgres")
    except SqlglotError as error:
        return [_message(error)]
    return [] if any(statements) else ["there is no statement"]


def check_readonly(sql: str) -> list[str]:
    """What keeps a SQL text from being one statement that only reads; [] when nothing does. Asks no server."""
    try:
        tokens = scan(sql)
    except ValueError as error:
        return [str(error)]
    if _SHOW.fullmatch(sql):
        return []
    rest = _explained(sql)
    first = re.match(r"(?:\s|--[^\n]*\n|/\*.*?\*/)*(\w+|.)", rest, re.DOTALL)
    if first is None or first[1].lower() not in _READING:
        return [f"{first[1].upper() if first else 'nothing'} is not a read-only statement"]
    try:
        statements = _statements(rest)
    except SqlglotError as error:
        return [_message(error)]
    if len(statements) != 1:
        return [f"{len(statements)} statements in one block"]
    return [*_writes_in(statements[0]), *_known_side_effects(names_in(tokens))]


def _explained(sql: str) -> str:
    """The statement that an EXPLAIN is about; any other statement as it is."""
    return _EXPLAIN.sub("", sql, count=1)


@lru_cache(maxsize=64)
def _statements(sql: str) -> tuple[exp.Expr, ...]:
    """The statements of a SQL text, parsed once: each check looks at the same text, and nobody changes the tree."""
    found = () if _SHOW.fullmatch(sql) else sqlglot.parse(_explained(sql), dialect="postgres")
    return tuple(one for one in found if one)


def _writes_in(statement: exp.Expr) -> Iterator[str]:
    if not isinstance(statement, exp.Query | exp.Values):
        yield f"{statement.key.upper()} is not a read-only statement"
    names = {"into": "SELECT INTO creates a table", "lock": "FOR UPDATE and similar clauses lock rows"}
    for found in sorted({node.key for node in statement.find_all(*_WRITES)}):
        yield names.get(found, f"{found.upper()} inside it writes")


def _known_side_effects(names: Names) -> Iterator[str]:
    for name in sorted(names.called | names.attributes):
        if KNOWN_SIDE_EFFECTS.fullmatch(name.lower()):
            yield f"{name} has side effects"


def _message(error: SqlglotError) -> str:
    """sqlglot's error in one line without its terminal colours."""
    if isinstance(error, ParseError) and error.errors:
        first = error.errors[0]
        return f"this SQL can't be parsed: {first.get('description')} (line {first.get('line')} of the block)"
    return f"this SQL can't be parsed: {str(error).splitlines()[0]}"


def volatile_functions(conn: Connection, sql: str, schemas: Sequence[str]) -> list[str]:
    """Why a statement's functions, operators, casts and views can't be trusted to only read; [] when they can.

    schemas: in which its names are looked up. Names are taken by what they could mean, rather too many than too few.
    Raises ValueError as scan() does.
    """
    tokens = scan(sql)
    names = names_in(tokens)
    statements = named("tabsync.postgres", "readonly.sql")
    given = {"words": sorted(names.words), "sql": sql, "schemas": list(schemas)}

    def ask(query: str, **values: Any) -> list[dict[str, Any]]:
        with conn.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(statements[query], values | given).fetchall()

    functions = ask("functions", names=sorted(names.called | names.attributes))
    refused = [
        f"{_qualified(row)} {reason}"
        for row in functions
        if (reason := _reason(row)) and (row["proname"] in names.called or row["takes_arguments"])
    ]
    found = {row["proname"] for row in functions}
    refused += [f"the function {name} does not exist here" for name in _unknown(names, found, sql, ask)]
    # An extension's view has a type of the same name as the function behind it: no cast is meant.
    types = names.types - {row["proname"] for row in functions if row["extname"]}
    refused += [f"a cast to {row['typname']} can run a CHECK" for row in ask("types", names=sorted(types))]
    refused += [f"the operator {row['oid']} is not one of PostgreSQL's" for row in ask("operators")]
    casts = any(token.text in ("cast", ":") for token in tokens)
    refused += [f"the cast {next(iter(row.values()))} calls a function" for row in ask("casts", casts=casts)]
    refused += _behind_relations(ask)
    return sorted(set(refused))


def _qualified(row: dict[str, Any]) -> str:
    return str(row["proname"] if row["builtin"] else f"{row['nspname']}.{row['proname']}")


def _reason(row: dict[str, Any]) -> str:
    """Why a function of the catalog may not be called, or "" when it may."""
    name = row["proname"]
    if row["builtin"]:
        if SIDE_EFFECTS_NOT_VOLATILE.fullmatch(name):
            return "runs other SQL or assigns a transaction id"
        looks = not row["volatile"] or name in ALLOWED_VOLATILE or name.startswith("pg_stat_get_")
        return "" if looks else "has side effects, or may have"
    if (row["extname"], name) in ALLOWED_OF_EXTENSIONS:
        return ""
    return "is not one of PostgreSQL's functions, so its effects are unknown"


def _unknown(names: Names, found: set[str], sql: str, ask: Any) -> Iterable[str]:
    """Names before a parenthesis that are neither function, type, grammar, nor an alias with its columns."""
    left = sorted(names.called - found)
    types = {row["typname"] for row in ask("is_type", names=left)}
    keywords = {row["word"] for row in ask("keywords", names=left)}
    aliases = {alias.name for statement in _statements(sql) for alias in statement.find_all(exp.TableAlias)}
    return [name for name in left if name not in types | keywords | aliases]


def _behind_relations(ask: Any) -> Iterator[str]:
    relations = ask("relations")
    for row in relations:
        if row["kind"] == "f":
            yield f"{row['name']} is a foreign table: reading it connects to another system"
    views = [row["oid"] for row in relations if row["kind"] == "v"]
    if not views:
        return
    for row in ask("view_functions", views=views):
        if reason := _reason(row):
            yield f"the view {row['view']} calls {_qualified(row)}, which {reason}"
    for row in ask("view_domains", views=views):
        yield f"the view {row['oid']} casts to a domain, which can run a CHECK"


def run_readonly(
    conn: Connection, sql: str, *, statement_timeout: str = "5s", lock_timeout: str = "50ms", max_rows: int = 1000
) -> Rows:
    """Check a statement and run it in a READ ONLY transaction of its own, which is always rolled back.

    statement_timeout, lock_timeout: with their units, as PostgreSQL reads them; max_rows: rows kept at most.
    Raises Refused when the statement does not only read, ValueError when the session is inside a transaction,
    psycopg.Error when the server refuses it.
    """
    told = check_readonly(sql)
    if told:
        raise Refused(f"this statement is not read-only: {'; '.join(told)}", "mark its block as sql write")
    if conn.closed:
        raise psycopg.OperationalError("the connection is lost")
    if conn.info.transaction_status != pq.TransactionStatus.IDLE:
        raise ValueError("a read-only transaction can't be opened inside another")
    with conn.transaction(force_rollback=True):
        # Must be the first statement: PostgreSQL allows no way back to READ WRITE after a query.
        conn.execute("set transaction read only")
        limits = {"statement_timeout": statement_timeout, "lock_timeout": lock_timeout}
        conn.execute(named("tabsync.postgres", "readonly.sql")["bound"], limits)
        path = ["pg_catalog"]
        told = [] if _of_postgresql(conn, sql) else ["it uses an object of the database"]
        told = told or volatile_functions(conn, sql, path)
        if told:
            every, path = _meant(conn)
            told = volatile_functions(conn, sql, every)
        if told:
            raise Refused(f"this statement may not be read-only: {'; '.join(told)}", "use PostgreSQL's own functions")
        _become_reader(conn)
        resolve_in(conn, path)
        return _fetch(conn, sql, max_rows)


def _of_postgresql(conn: Connection, sql: str) -> bool:
    """Whether every relation that a statement names is PostgreSQL's own: nobody then can put another in its way."""
    names = {
        table.name
        for statement in _statements(sql)
        for table in statement.find_all(exp.Table)
        if isinstance(table.this, exp.Identifier)
    }
    names -= {one.alias for statement in _statements(sql) for one in statement.find_all(exp.CTE)}
    row = conn.execute(named("tabsync.postgres", "readonly.sql")["others"], {"names": sorted(names)}).fetchone()
    return row is None


def _meant(conn: Connection) -> tuple[list[str], list[str]]:
    """Where the application's names are looked up. Ours are again in pg_catalog only when this returns."""
    resolve_as_application(conn, local=True)
    row = conn.execute(named("tabsync.postgres", "readonly.sql")["meant"]).fetchone()
    resolve_in_catalog(conn, local=True)
    return row if row else ([], [])


def _become_reader(conn: Connection) -> None:
    """Give a superuser's rights up for this transaction, where there is a role that may read everything and no more.

    A statement that comes here calls nothing that the database's owner wrote. This is for what that look missed.
    """
    row = conn.execute(named("tabsync.postgres", "readonly.sql")["reader"]).fetchone()
    if row is not None:
        conn.execute(composed.SQL("set local role {}").format(composed.Identifier(row[0])))


def _fetch(conn: Connection, sql: str, max_rows: int) -> Rows:
    """Run it; through a cursor of the server where there may be more rows than are kept.

    SHOW and EXPLAIN have no cursor; prepare=True makes them go by the extended protocol, which takes one statement.
    """
    started = time.monotonic()
    if _SHOW.fullmatch(sql) or _explained(sql) != sql:
        shown = conn.cursor(row_factory=tuple_row).execute(sql.encode(), prepare=True)
        columns = tuple(column.name for column in shown.description or ())
        rows = shown.fetchall()
    else:
        with conn.cursor("tabsync_reading", row_factory=tuple_row) as cursor:
            cursor.execute(sql.rstrip("; \n").encode())
            columns = tuple(column.name for column in cursor.description or ())
            rows = cursor.fetchmany(max_rows + 1)
    return Rows(columns, tuple(rows[:max_rows]), len(rows) > max_rows, time.monotonic() - started)
