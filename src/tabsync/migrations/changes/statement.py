"""What a statement of a migration changes. Whatever is not understood is nothing that can be told: never a guess."""

from __future__ import annotations

from dataclasses import replace

from tabsync.migrations.changes.alter import alter
from tabsync.migrations.changes.change import DATA, NOTHING, Change, Effect, Kind, Thing, unknown
from tabsync.migrations.changes.create import create
from tabsync.migrations.changes.drop import drop
from tabsync.migrations.changes.reader import Reader
from tabsync.migrations.changes.rights import comment, privileges
from tabsync.migrations.histories.script import Statement

_NOTHING = frozenset(
    [
        "begin",
        "start",
        "commit",
        "end",
        "savepoint",
        "release",
        "set",
        "reset",
        "show",
        "analyze",
        "vacuum",
        "lock",
        "listen",
        "notify",
        "unlisten",
        "checkpoint",
        "discard",
        "fetch",
        "move",
        "close",
        "declare",
        "explain",
        "load",
        "deallocate",
    ]
)
_DATA = frozenset(["insert", "update", "delete", "merge", "copy", "truncate", "refresh", "values", "table"])
_HARMLESS = frozenset(
    [
        "setval",
        "nextval",
        "currval",
        "set_config",
        "now",
        "count",
        "exists",
        "in",
        "values",
        "coalesce",
        "max",
        "min",
        "sum",
        "length",
        "lower",
        "upper",
        "and",
        "or",
        "not",
        "pg_notify",
        "pg_advisory_lock",
        "pg_advisory_xact_lock",
        "pg_advisory_unlock",
        "pg_sleep",
        "generate_series",
        "current_setting",
        "random",
        "md5",
        "any",
        "all",
        "as",
        "over",
        "from",
        "where",
        "select",
        "numeric",
        "varchar",
        "decimal",
        "char",
        "on",
    ]
)
_CHANGES = ("execute", "drop", "alter", "rename", "perform", "call", "select")
_PSQL = frozenset(
    [
        "set",
        "unset",
        "echo",
        "qecho",
        "timing",
        "pset",
        "encoding",
        "restrict",
        "unrestrict",
        ".",
        "if",
        "else",
        "elif",
        "endif",
        "warn",
    ]
)


def change(statement: Statement) -> Change:
    """What it changes."""
    read = Reader(statement.tokens)
    first = read.peek()
    if first.kind == "psql":
        return _psql(first.text)
    if first.kind != "word":
        return _select(read)
    if first.text in ("create", "alter", "drop", "grant", "revoke", "comment"):
        names, cascades = read.names(), read.has("cascade")
        read.at = 1
        return _catalog(first.text, read) or unknown("it is not understood", None if cascades else names)
    if first.text in ("select", "with"):
        return _select(read)
    if first.text == "set" and read.has("constraints"):
        return DATA
    if first.text == "explain" and read.has("analyze") and read.has("insert", "update", "delete", "merge", "execute"):
        return DATA  # it is carried out
    if first.text in _NOTHING:
        return Change(Kind.NOTHING, path=_path(read))
    if first.text in _DATA:
        return _data(read)
    if first.text == "do":
        words = read.names()
        mentions = None if words & set(_CHANGES) else words
        return unknown("a DO block can do anything", mentions)
    return unknown("it can do anything" if first.text in ("call", "execute") else "it is not understood", None)


def _catalog(word: str, read: Reader) -> Change | None:
    if word == "create":
        return create(read)
    if word == "alter":
        return alter(read)
    if word == "drop":
        return drop(read)
    if word == "comment":
        return comment(read)
    return privileges(read, given=word == "grant")


def _data(read: Reader) -> Change:
    """A statement that changes rows needs their table, whatever else it does."""
    if not (read.take("insert", "into") or read.take("delete", "from") or read.take("merge", "into")):
        read.at = 1
    _ = read.take("table")
    _ = read.take("only")
    schema, name = read.qualified()
    if not name or read.tokens[0].text in ("refresh", "values", "table"):
        return DATA
    return replace(DATA, effects=(Effect(Thing("relation", schema, name), needed=True),))


def _select(read: Reader) -> Change:
    """A query may call anything; into a table it is another CREATE TABLE AS."""
    tokens = read.tokens
    for number, one in enumerate(tokens[:-1]):
        called = (
            one.kind in ("word", "quoted") and tokens[number + 1].text == "(" and tokens[number + 1].kind == "punct"
        )
        if called and (one.kind == "quoted" or one.text not in _HARMLESS):
            return unknown(f"{one.text}() can do anything", None)
    if any(one.kind == "word" and one.text in ("insert", "update", "delete", "merge") for one in tokens):
        return DATA
    if read.to("into"):
        if read.any_of("temporary", "temp"):
            _ = read.take("table")
            return replace(NOTHING, temporary=read.qualified()[1])
        _ = read.take("unlogged")
        _ = read.take("table")
        schema, name = read.qualified()
        return Change(Kind.CATALOG, (Effect(Thing("relation", schema, name), strict=True),), creates=True)
    if any(one.text in ("setval", "nextval") for one in tokens):
        return DATA
    return Change(Kind.NOTHING, path=_configured(read))


def _path(read: Reader) -> tuple[str, ...] | None:
    """The search_path that SET or RESET leaves; None when it is about something else."""
    if read.take("reset", "search_path") or read.take("reset", "all") or read.take("discard", "all"):
        return ()
    if not read.take("set"):
        return None
    _ = read.any_of("session", "local")
    if not read.take("search_path") or not (read.take("to") or read.punct("=")):
        return None
    return () if read.take("default") else tuple(one.tokens[-1].text for one in read.actions() if one.tokens)


def _configured(read: Reader) -> tuple[str, ...] | None:
    """The search_path that set_config() leaves."""
    read.at = 0
    if not read.to("set_config") or not (inner := read.parenthesized()) or inner.string() != "search_path":
        return None
    text = (inner.string() or "") if inner.punct(",") else ""
    return tuple(one.strip(' "') for one in text.split(",") if one.strip()) or ("pg_catalog",)


def _psql(word: str) -> Change:
    """A command of psql, which ends with its line."""
    if word == "copy":
        return DATA
    return NOTHING if word in _PSQL else unknown("a command of psql", None)
