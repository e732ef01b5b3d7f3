"""DROP: what is gone afterwards."""

from __future__ import annotations

from tabsync.migrations.changes.change import WITH_PARTITIONS, Change, Effect, Kind, Thing
from tabsync.migrations.changes.reader import Reader
from tabsync.migrations.changes.routine import routine_named

_KINDS = {
    "table": "relation",
    "view": "relation",
    "sequence": "relation",
    "index": "index",
    "type": "type",
    "domain": "type",
    "statistics": "statistics",
    "schema": "schema",
    "extension": "extension",
    "publication": "publication",
    "role": "role",
    "user": "role",
}
_ALONE = ("schema", "extension", "publication", "role")


def drop(read: Reader) -> Change | None:
    """What DROP takes away; None when it isn't understood."""
    cascade = read.ends("cascade")
    _ = read.ends("restrict")
    if kind := read.any_of("trigger", "policy", "rule"):
        exists = read.if_exists()
        name = read.name()
        schema, table = read.qualified() if read.take("on") else ("", "")
        return _gone([Thing(kind, schema, table, name)] if name and table else [], exists, cascade)
    if word := read.any_of("function", "procedure", "routine"):
        exists = read.if_exists()
        each = [routine_named(one, procedure=word == "procedure") for one in read.actions()]
        return _gone([one for one in each if one] if all(each) else [], exists, cascade)
    word = "view" if read.take("materialized", "view") else read.any_of(*_KINDS)
    kind = _KINDS.get(word, "")
    if not kind:
        return None
    _ = read.take("concurrently")
    exists = read.if_exists()
    things = []
    for one in read.actions():
        things.append(Thing(kind, *(("", one.name()) if kind in _ALONE else one.qualified())))
        if not one.done or not things[-1].name:
            return None
    return _gone(things, exists, cascade or kind in ("schema", "extension"), WITH_PARTITIONS if word == "table" else "")


def _gone(things: list[Thing], exists: bool, cascade: bool, table: str = "") -> Change | None:
    if not things:
        return None
    effects = tuple(Effect(one, there=False, strict=not exists, table=table) for one in things)
    return Change(Kind.CATALOG, effects, mentions=None if cascade else frozenset())
