"""Whether a SQL text is one statement that only reads, as far as its text tells; no server is asked."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from functools import lru_cache

import sqlglot
from psycopg import sql as composed
from sqlglot import exp
from sqlglot.errors import ParseError, SqlglotError

from tabsync.postgres.known_functions import KNOWN_SIDE_EFFECTS
from tabsync.postgres.queries import named
from tabsync.postgres.scan import Names, bare, names_in, scan
from tabsync.postgres.transaction_text import in_one_transaction

_EXPLAIN = re.compile(r"\s*explain\b\s*(?:\([^()]*\)|(?:(?:analyze|verbose)\b\s*)*)", re.IGNORECASE)
_SHOW = re.compile(r"\s*show\s+(?:[a-z_][\w.]*|time\s+zone)\s*;?\s*", re.IGNORECASE)
_READING = ("select", "with", "values", "table", "(")
_WRITES = (exp.Insert, exp.Update, exp.Delete, exp.Merge, exp.Into, exp.Lock, exp.DDL, exp.Command, exp.Copy)

_LONGEST_ROW = 16_384  # bytes; two hundred of them, of each metric, fit into anybody's memory
_TOO_LONG = "a row is longer than 16 kB"
_, _, _BOUNDED = named(__package__, "readonly.sql")["bounded"].partition("\n\n")
"""Without what it is for: the sessions and statements that the server lists would all begin alike."""

_KEPT = 256
"""Texts whose look is remembered: the collector sees the same ones again and again."""

# sqlglot warns on its logger about what it doesn't know, DO and CALL for instance; that is no concern of a person.
logging.getLogger("sqlglot").setLevel(logging.ERROR)


def check_sql(sql: str) -> list[str]:
    """What is wrong with a SQL text that may write: it can't be parsed, or is not one transaction. [] when nothing."""
    try:
        statements = sqlglot.parse(sql, dialect="postgres")
    except SqlglotError as error:
        return [_message(error)]
    return in_one_transaction(sql) if any(statements) else ["there is no statement"]


def check_readonly(sql: str) -> list[str]:
    """What keeps a SQL text from being one statement that only reads; [] when nothing does. Asks no server."""
    return list(_told(sql))


@lru_cache(maxsize=_KEPT)
def _told(sql: str) -> tuple[str, ...]:
    try:
        tokens = scan(sql)
    except ValueError as error:
        return (str(error),)
    if _SHOW.fullmatch(sql):
        return ()
    rest = _explained(sql)
    first = re.match(r"(?:\s|--[^\n]*\n|/\*.*?\*/)*(\w+|.)", rest, re.DOTALL)
    if first is None or first[1].lower() not in _READING:
        return (f"{first[1].upper() if first else 'nothing'} is not a read-only statement",)
    try:
        found = statements(rest)
    except SqlglotError as error:
        return (_message(error),)
    if len(found) != 1:
        return (f"{len(found)} statements in one block",)
    return (*_writes_in(found[0]), *_known_side_effects(names_in(tokens)))


def _explained(sql: str) -> str:
    """The statement that an EXPLAIN is about; any other statement as it is."""
    return _EXPLAIN.sub("", sql, count=1)


@lru_cache(maxsize=_KEPT)
def statements(sql: str) -> tuple[exp.Expr, ...]:
    """The statements of a SQL text, parsed once: each check looks at the same text, and nobody changes the tree."""
    found = () if _SHOW.fullmatch(sql) else sqlglot.parse(_explained(sql), dialect="postgres")
    return tuple(one for one in found if one and not isinstance(one, exp.Semicolon))  # a comment after the last


@lru_cache(maxsize=_KEPT)
def names_of(sql: str) -> Names:
    """The names in a SQL text, each by what it could be. Raises ValueError as scan() does."""
    return names_in(scan(sql))


@lru_cache(maxsize=_KEPT)
def tables_of(sql: str) -> frozenset[str]:
    """The relations that a statement names, those of its own WITH left out."""
    found = {
        table.name
        for statement in statements(sql)
        for table in statement.find_all(exp.Table)
        if isinstance(table.this, exp.Identifier)
    }
    return frozenset(found - {one.alias for statement in statements(sql) for one in statement.find_all(exp.CTE)})


def aliases_of(sql: str) -> set[str]:
    """The aliases of a statement that may stand before a parenthesis, with the names of their columns in it."""
    return {alias.name for statement in statements(sql) for alias in statement.find_all(exp.TableAlias)}


@lru_cache(maxsize=_KEPT)
def bounded(sql: str, rows: int) -> str:
    """The statement, held to a number of rows and to 16 kB in each: more than that fails, with `too_long` in it.

    SHOW and EXPLAIN can't stand inside another statement, and give few rows.
    """
    text = bare(sql)
    if _SHOW.fullmatch(sql) or _explained(sql) != sql:
        return text
    parts = {
        "statement": composed.SQL(text),  # it is proven to be one that only reads
        "rows": composed.Literal(rows),
        "longest": composed.Literal(_LONGEST_ROW),
        "told": composed.Literal(_TOO_LONG),
    }
    return composed.SQL(_BOUNDED).format(**parts).as_string()


def too_long(message: str) -> str:
    """What an error of a bounded statement says of its length, "" when it is about something else."""
    return _TOO_LONG if f'"{_TOO_LONG}"' in message else ""


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
