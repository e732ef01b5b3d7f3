"""ALTER of what is no table."""

from __future__ import annotations

from tabsync.migrations.changes.alter_table import alter_table, moved, owner, renamed
from tabsync.migrations.changes.change import Change, Effect, Kind, Thing
from tabsync.migrations.changes.reader import Reader
from tabsync.migrations.changes.routine import routine_named

_KINDS = {
    "view": "relation",
    "sequence": "relation",
    "index": "index",
    "type": "type",
    "domain": "type",
    "statistics": "statistics",
    "schema": "schema",
    "publication": "publication",
    "role": "role",
}
_ALONE = ("schema", "publication", "role")


def alter(read: Reader) -> Change | None:
    """What ALTER changes; None when it isn't understood."""
    if read.take("table"):
        return alter_table(read)
    if word := read.any_of("trigger", "policy", "rule"):
        name = read.name()
        schema, table = read.qualified() if read.take("on") else ("", "")
        new = read.name() if read.take("rename", "to") else ""
        return renamed(word, schema, name, new, table=table, part=True) if table and read.done else None
    if word := read.any_of("function", "procedure", "routine"):
        return _routine(read, procedure=word == "procedure")
    kind = "relation" if read.take("materialized", "view") else _KINDS.get(read.any_of(*_KINDS), "")
    if not kind:
        return None
    _ = read.if_exists()
    schema, name = ("", read.name()) if kind in _ALONE else read.qualified()
    return _of(read, kind, schema, name)


def _of(read: Reader, kind: str, schema: str, name: str) -> Change | None:
    if read.take("rename", "to"):
        return renamed(kind, schema, name, read.name())
    if read.take("set", "schema"):
        return moved(kind, schema, name, read.name())
    if read.take("owner", "to"):
        effects = owner(kind, schema, name, read) if kind in ("relation", "type", "schema") else None
        return Change(Kind.CATALOG, tuple(effects)) if effects else None
    if kind == "type":
        return _type(read, schema, name)
    return None


def _type(read: Reader, schema: str, name: str) -> Change | None:
    if read.take("add", "value"):
        exists = read.if_exists()
        label = read.string()
        one = Effect(Thing("label", schema, name, label), strict=not exists) if label else None
        return Change(Kind.CATALOG, (one,)) if one else None
    if read.take("rename", "value"):
        old = read.string()
        new = read.string() if read.take("to") else None
        return renamed("label", schema, old or "", new or "", table=name, part=True)
    return None


def _routine(read: Reader, *, procedure: bool) -> Change | None:
    thing = routine_named(read, procedure=procedure)
    if thing is None:
        return None
    if read.take("rename", "to") and (new := read.name()):
        other = Thing("function", thing.schema, new, thing.part)
        pair = Effect(thing, there=False, strict=True), Effect(other, strict=True, before=thing.name)
        return Change(Kind.CATALOG, pair)
    if read.take("owner", "to"):
        effects = owner("function", thing.schema, thing.name, read, thing.part)
        return Change(Kind.CATALOG, tuple(effects)) if effects else None
    return None
