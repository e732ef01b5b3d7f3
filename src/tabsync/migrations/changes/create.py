"""CREATE: what is there afterwards. https://www.postgresql.org/docs/current/sql-commands.html"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

from tabsync.migrations.changes.change import ANY_VALUE, NOTHING, Change, Effect, Kind, Thing, unknown
from tabsync.migrations.changes.reader import END, Reader
from tabsync.migrations.changes.routine import create_routine

_CONSTRAINTS = ("constraint", "primary", "unique", "foreign", "check", "exclude", "like", "not")
_SIMPLE = {"schema": "schema", "extension": "extension", "publication": "publication", "role": "role", "user": "role"}


def create(read: Reader) -> Change | None:
    """What CREATE makes; None when it isn't understood."""
    replaces = read.take("or", "replace")
    if read.any_of("temporary", "temp") or read.any_of("local", "global"):
        return _temporary(read)
    _ = read.take("unlogged")
    if read.take("unique", "index") or read.take("index"):
        return _index(read, unique=read.tokens[1].text == "unique")
    if read.take("table"):
        return _table(read)
    if read.take("materialized", "view") or read.take("sequence"):
        return _named(read, "relation")
    if read.take("view") or read.take("recursive", "view"):
        return _made(Effect(Thing("relation", *read.qualified()), value=ANY_VALUE if replaces else None), replaces)
    if read.any_of("function", "procedure"):
        return create_routine(read, replaces=replaces)
    if read.take("constraint", "trigger") or read.take("trigger"):
        return _on_table(read, "trigger", replaces=replaces)
    if read.any_of("policy", "rule"):
        kind = read.tokens[read.at - 1].text
        return _on_table(read, kind, replaces=replaces)
    return None if replaces else _other(read)


def _temporary(read: Reader) -> Change:
    """What goes with its session."""
    _ = read.any_of("temporary", "temp")
    _ = read.any_of("table", "view", "sequence")
    _ = read.if_exists()
    return replace(NOTHING, temporary=read.qualified()[1])


def _other(read: Reader) -> Change | None:
    if read.any_of("type", "domain"):
        return _type(read)
    if read.take("statistics"):
        return _named(read, "statistics") if not read.next_is("on") and read.peek().text != "(" else None
    if kind := _SIMPLE.get(read.any_of(*_SIMPLE)):
        if kind == "role" and read.next_is("mapping"):
            return None  # CREATE USER MAPPING
        exists = read.if_exists()
        name = "" if read.next_is("authorization") else read.name()
        if kind == "schema" and not _ends_after_schema(read):
            return None  # with what is in it
        return _made(Effect(Thing(kind, "", name)), exists)
    return None


def _type(read: Reader) -> Change | None:
    schema, name = read.qualified()
    labels = read.parenthesized() if read.take("as", "enum") else None
    each = [one.string() for one in labels.actions()] if labels and not labels.done else []
    known = [one for one in each if one is not None]
    more = [Effect(Thing("labels", schema, name), value=json.dumps(known, ensure_ascii=False))] if known == each else []
    return _made(Effect(Thing("type", schema, name)), False, *(more if labels else []))


def _ends_after_schema(read: Reader) -> bool:
    if read.take("authorization"):
        _ = read.name()
    return read.done


def _named(read: Reader, kind: str) -> Change | None:
    exists = read.if_exists()
    schema, name = read.qualified()
    return _made(Effect(Thing(kind, schema, name)), exists)


def _made(one: Effect, exists: bool, *more: Effect) -> Change | None:
    """Something that was created. exists: that it was there already did no harm."""
    if not one.thing.name:
        return None
    first = Effect(one.thing, value=one.value, strict=not exists, table=one.table)
    rest = (Effect(each.thing, value=each.value, strict=not exists, sure=not exists) for each in more)
    return Change(Kind.CATALOG, (first, *rest), creates=True)


def _table(read: Reader) -> Change | None:
    exists = read.if_exists()
    schema, name = read.qualified()
    more = list(_columns(read, schema, name))
    table = Effect(Thing("relation", schema, name))
    if read.take("partition", "of"):
        more.append(Effect(Thing("partition", schema, name), value=json.dumps(read.qualified())))
    return _made(table, exists, *more)


def _columns(read: Reader, schema: str, name: str) -> Iterator[Effect]:
    inner = read.parenthesized()
    if inner is None or read.take("as") or read.next_is("of"):
        return  # CREATE TABLE t (a, b) AS names columns only
    for one in inner.actions():
        if not (one.peek().kind == "word" and one.peek().text in _CONSTRAINTS) and (column := one.name()):
            yield Effect(Thing("column", schema, name, column))


def _index(read: Reader, *, unique: bool) -> Change | None:
    _ = read.take("concurrently")
    exists = read.if_exists()
    name = "" if read.next_is("on") else read.name()
    if not read.take("on"):
        return None
    _ = read.take("only")
    schema, table = read.qualified()  # an index is in the schema of its table
    if name:
        one = _made(Effect(Thing("index", schema, name), table=table), exists)
        return Change(one.kind, one.effects, creates=False) if one else None
    columns = plain_columns(read) if not read.next_is("using") or read.take("using", "btree") else None
    if not columns or not read.done:
        return unknown("PostgreSQL chooses its name", frozenset({table}))
    thing = Thing("unnamed index", schema, table, definition("unique" if unique else "plain", columns))
    return Change(Kind.CATALOG, (Effect(thing, table=table),))


def plain_columns(read: Reader) -> list[str] | None:
    """The columns in parentheses; None when something else is there too."""
    inner = read.parenthesized()
    found = []
    for one in inner.actions() if inner else ():
        found.append(one.name())
        if not one.done or not found[-1]:
            return None
    return found or None


def definition(kind: str, columns: list[str]) -> str:
    """A constraint or an index by what it is, as there.sql writes it."""
    return json.dumps([kind, *columns], ensure_ascii=False)


def _on_table(read: Reader, kind: str, *, replaces: bool) -> Change | None:
    name = read.name()
    while read.peek() != END and not read.take("to" if kind == "rule" else "on"):
        read.at += 1
    schema, table = read.qualified()
    if not name or not table:
        return None
    value = ANY_VALUE if replaces else None
    return Change(Kind.CATALOG, (Effect(Thing(kind, schema, table, name), value=value, strict=not replaces),))
