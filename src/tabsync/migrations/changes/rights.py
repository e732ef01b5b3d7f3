"""GRANT, REVOKE and COMMENT. https://www.postgresql.org/docs/current/ddl-priv.html"""

from __future__ import annotations

import json

from tabsync.migrations.changes.change import Change, Effect, Kind, Thing
from tabsync.migrations.changes.reader import Reader
from tabsync.migrations.changes.routine import routine_named

_PRIVILEGES = {
    "table": ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER"),
    "sequence": ("SELECT", "UPDATE", "USAGE"),
    "schema": ("USAGE", "CREATE"),
    "function": ("EXECUTE",),
    "type": ("USAGE",),
}
_COMMENTS = {"table": "relation", "view": "relation", "sequence": "relation", "index": "index", "type": "type"}
_WHO = {"current_user", "session_user", "current_role"}
_ON_TABLE = ("trigger", "policy", "constraint")


def privileges(read: Reader, *, given: bool) -> Change | None:
    """What GRANT or REVOKE changes of each privilege. It isn't sure: what somebody else has granted stays."""
    if read.has("option") or read.has("granted"):
        return None
    if not given and (read.ends("cascade") or read.ends("restrict")):
        return None
    names: list[str] = []
    everything = read.take("all")
    _ = read.take("privileges")
    for one in () if everything else _listed(read):
        names.append(one.upper())
    if not read.take("on") or (not everything and not names):
        return None  # a role is granted, or a privilege of columns
    kind = read.any_of(*_PRIVILEGES) or "table"
    if read.next_is("all", "database", "foreign", "language", "large", "parameter", "tablespace", "domain"):
        return None
    things = _things(read, kind)
    roles = _listed(read) if read.take("to" if given else "from") else []
    if not things or not roles or not read.done or _WHO & set(roles):
        return None
    wanted = names or list(_PRIVILEGES[kind])
    effects = [
        Effect(
            Thing(f"privilege on {kind}", one.schema, one.name, json.dumps([role, name, one.part])), given, sure=False
        )
        for one in things
        for role in roles
        for name in wanted
    ]
    return Change(Kind.CATALOG, tuple(effects))


def _listed(read: Reader) -> list[str]:
    found = [read.name()]
    while read.punct(","):
        found.append(read.name())
    return found if all(found) else []


def _things(read: Reader, kind: str) -> list[Thing]:
    found: list[Thing] = []
    while True:
        if kind == "function":
            one = routine_named(read)
        elif kind == "schema":
            one = Thing("schema", "", read.name())
        else:
            one = Thing("relation", *read.qualified())
        if one is None or not one.name:
            return []
        found.append(one)
        if not read.punct(","):
            return found


def comment(read: Reader) -> Change | None:
    """What COMMENT ON ... IS sets; None when it isn't understood."""
    thing = _commented(read)
    if thing is None or not read.take("is"):
        return None
    if read.take("null"):
        return Change(Kind.CATALOG, (Effect(thing, there=False),))
    text = read.string()
    if text is None or not read.done:
        return None
    return Change(Kind.CATALOG, (Effect(thing, value=text),) if text else (Effect(thing, there=False),))


def _commented(read: Reader) -> Thing | None:
    if not read.take("on"):
        return None
    if word := read.any_of(*_ON_TABLE):
        name = read.name()
        schema, table = read.qualified() if read.take("on") else ("", "")
        return Thing(f"comment on {word}", schema, table, name) if name and table else None
    if read.take("column"):
        parts = [read.name()]
        while read.punct("."):
            parts.append(read.name())
        schema, table, column = ("", *parts)[-3:] if len(parts) in (2, 3) else ("", "", "")
        return Thing("comment on column", schema, table, column) if all(parts) and table else None
    if read.any_of("function", "procedure"):
        one = routine_named(read, procedure=read.tokens[read.at - 1].text == "procedure")
        return Thing("comment on function", one.schema, one.name, one.part) if one else None
    if read.any_of("schema", "extension"):
        kind = read.tokens[read.at - 1].text
        return Thing(f"comment on {kind}", "", read.name())
    kind = "relation" if read.take("materialized", "view") else _COMMENTS.get(read.any_of(*_COMMENTS), "")
    schema, name = read.qualified() if kind else ("", "")
    return Thing(f"comment on {'type' if kind == 'type' else 'relation'}", schema, name) if name else None
