"""Functions and procedures: by their names and the types of their arguments, and by their bodies where those are text.

https://www.postgresql.org/docs/current/sql-createfunction.html
"""

from __future__ import annotations

import json

from tabsync.migrations.changes.change import Change, Effect, Kind, Thing, unknown
from tabsync.migrations.changes.reader import Reader
from tabsync.migrations.changes.types import type_name
from tabsync.migrations.histories.script import Token

_MODES = ("in", "out", "inout", "variadic")


def create_routine(read: Reader, *, replaces: bool) -> Change | None:
    """What CREATE [OR REPLACE] FUNCTION or PROCEDURE makes; None when it isn't understood."""
    procedure = read.tokens[read.at - 1].text == "procedure"
    names = read.names()
    schema, name = read.qualified()
    types = _arguments(read, procedure=procedure)
    if not name or types is None:
        return unknown("its arguments are not understood", names)
    thing = Thing("function", schema, name, json.dumps(types, ensure_ascii=False))
    body, language = _body(read)
    value = json.dumps([body, language], ensure_ascii=False) if body is not None else ""
    return Change(Kind.CATALOG, (Effect(thing, value=value if replaces else None, strict=not replaces),), creates=True)


def routine_named(read: Reader, *, procedure: bool = False) -> Thing | None:
    """A function as DROP, ALTER, GRANT and COMMENT name it: with its arguments, or as the only one of its name."""
    schema, name = read.qualified()
    if not name:
        return None
    if read.peek() != Token("punct", "("):
        return Thing("function", schema, name, "")
    types = _arguments(read, procedure=procedure)
    return None if types is None else Thing("function", schema, name, json.dumps(types, ensure_ascii=False))


def _arguments(read: Reader, *, procedure: bool) -> list[str] | None:
    inner = read.parenthesized()
    if inner is None:
        return None
    found: list[str] = []
    for one in inner.actions() if not inner.done else ():
        mode = one.any_of(*_MODES)
        if mode == "in" and one.take("out"):
            mode = "inout"
        before_default = Reader(one.tokens[one.at : _default(one)])
        if mode == "out" and not procedure:
            continue
        kind = _argument_type(before_default)
        if not kind:
            return None
        found.append(kind)
    return found


def _default(one: Reader) -> int:
    signs = (Token("word", "default"), Token("punct", "="))
    ends = [number for number in range(one.at, len(one.tokens)) if one.tokens[number] in signs]
    return ends[0] if ends else len(one.tokens)


def _argument_type(read: Reader) -> str:
    """A type, or a name and a type."""
    tokens = read.tokens[read.at :]
    for begin in (0, 1):
        tail = Reader(tokens[begin:])
        kind = type_name(tail, arguments=False)
        if kind and tail.done:
            return kind
    return ""


def _body(read: Reader) -> tuple[str | None, str]:
    """The text of a body, and its language; None where it is none, or has variables of a tool in it."""
    body, language = None, "sql"
    while not read.done:
        if read.take("language"):
            one = read.peek()
            language, read.at = one.text.lower() if one.kind != "quoted" else one.text, read.at + 1
        elif read.take("as"):
            body = read.string()
            if read.punct(","):
                body = None  # a library and a symbol
        else:
            read.at += 1
    return body, language
