"""ALTER TABLE: its actions one by one. https://www.postgresql.org/docs/current/sql-altertable.html"""

from __future__ import annotations

import json
from collections.abc import Callable

from tabsync.migrations.changes.change import ABOUT, Change, Effect, Kind, Thing
from tabsync.migrations.changes.create import definition, plain_columns
from tabsync.migrations.changes.reader import Reader
from tabsync.migrations.changes.types import type_name
from tabsync.migrations.changes.values import expression

_NAMELESS = ("primary", "unique", "foreign", "check", "exclude", "not")
_UNSEEN = ("check", "statistics", "storage", "compression", "cluster", "tablespace", "access")
"""What can't be looked up, and touches nothing else that can."""

_IDENTITIES = {"always": "a", "by": "d"}


def alter_table(read: Reader) -> Change | None:
    """What ALTER TABLE changes; what isn't understood of it makes it less than whole."""
    _ = read.if_exists()
    _ = read.take("only")
    schema, table = read.qualified()
    _ = read.punct("*")
    if not table:
        return None
    if read.take("rename", "to"):
        return renamed("relation", schema, table, read.name())
    if read.take("set", "schema"):
        return moved("relation", schema, table, read.name())
    found: list[Effect] = []
    whole, cascade, mentioned = True, False, frozenset[str]()
    for one in read.actions():
        cascade = one.ends("cascade") or cascade
        effects = _Action(one, schema, table).effects()
        whole = whole and effects is not None
        if effects is None:
            mentioned |= one.names() if one.has("drop", "inherit", "of") else frozenset()
            effects = [] if one.has(*_UNSEEN) else [Effect(Thing(ABOUT, schema, table), sure=False)]
        found += effects
    mentions = None if cascade else mentioned
    return Change(Kind.CATALOG, tuple(found), whole, mentions, why="" if whole else "a part of it is not understood")


def renamed(kind: str, schema: str, old: str, new: str, *, table: str = "", part: bool = False) -> Change | None:
    """One thing under another name. part: old and new are parts of the table."""
    effects = _renamed(kind, schema, old, new, table=table if part else "")
    return Change(Kind.CATALOG, tuple(effects)) if effects else None


def moved(kind: str, schema: str, name: str, to: str) -> Change | None:
    """One thing in another schema."""
    if not name or not to:
        return None
    gone = Effect(Thing(kind, schema, name), there=False, strict=True)
    return Change(Kind.CATALOG, (gone, Effect(Thing(kind, to, name), strict=True, before=f"{schema}.{name}")))


def _renamed(kind: str, schema: str, old: str, new: str, *, table: str = "") -> list[Effect]:
    if not old or not new or old == new:
        return []
    pair = [Thing(kind, schema, table, one) if table else Thing(kind, schema, one) for one in (old, new)]
    return [Effect(pair[0], there=False, strict=True), Effect(pair[1], strict=True, before=old)]


class _Action:
    """One action of an ALTER TABLE."""

    def __init__(self, read: Reader, schema: str, table: str) -> None:
        self.read, self.schema, self.table = read, schema, table

    def effects(self) -> list[Effect] | None:
        """What it changes; None when it isn't understood."""
        read = self.read
        ways: tuple[tuple[tuple[str, ...], Callable[[], list[Effect] | None]], ...] = (
            (("add", "constraint"), self._add_constraint),
            (("drop", "constraint"), self._drop_constraint),
            (("validate", "constraint"), lambda: self._of("valid", read.name())),
            (("rename", "constraint"), lambda: self._both("constraint")),
            (("rename", "column"), lambda: self._both("column")),
            (("rename",), lambda: self._both("column")),
            (("enable", "row", "level", "security"), lambda: self._of("row security", "on")),
            (("disable", "row", "level", "security"), lambda: self._of("row security", "on", there=False)),
            (("force", "row", "level", "security"), lambda: self._of("forced", "on")),
            (("no", "force", "row", "level", "security"), lambda: self._of("forced", "on", there=False)),
            (("enable", "trigger"), lambda: self._trigger("O")),
            (("enable", "always", "trigger"), lambda: self._trigger("A")),
            (("enable", "replica", "trigger"), lambda: self._trigger("R")),
            (("disable", "trigger"), lambda: self._trigger("D")),
            (("owner", "to"), lambda: owner("relation", self.schema, self.table, read)),
            (("attach", "partition"), lambda: self._partition(there=True)),
            (("detach", "partition"), lambda: self._partition(there=False)),
            (("set", "logged"), lambda: self._of("persistence", "is", "p")),
            (("set", "unlogged"), lambda: self._of("persistence", "is", "u")),
            (("replica", "identity"), self._replica_identity),
            (("set",), lambda: self._options(there=True)),
            (("reset",), lambda: self._options(there=False)),
            (("add",), self._add),
            (("drop",), self._drop),
            (("alter",), self._alter),
        )
        return next((way() for words, way in ways if read.take(*words)), None)

    def _of(self, kind: str, part: str, value: str | None = None, *, there: bool = True) -> list[Effect] | None:
        return [Effect(Thing(kind, self.schema, self.table, part), there, value)] if part else None

    def _strict(self, kind: str, part: str, *, there: bool = True, exists: bool = False) -> list[Effect] | None:
        return [Effect(Thing(kind, self.schema, self.table, part), there, strict=not exists)] if part else None

    def _both(self, kind: str) -> list[Effect] | None:
        old = self.read.name()
        new = self.read.name() if self.read.take("to") else ""
        return _renamed(kind, self.schema, old, new, table=self.table) or None

    def _add_constraint(self) -> list[Effect] | None:
        name = self.read.name()
        found = self._strict("constraint", name)
        if found and self.read.has("using") and self.read.ends("deferred", "immediate"):
            return None
        return found

    def _drop_constraint(self) -> list[Effect] | None:
        exists = self.read.if_exists()
        return self._strict("constraint", self.read.name(), there=False, exists=exists)

    def _add(self) -> list[Effect] | None:
        if self.read.next_is(*_NAMELESS):
            return self._nameless()
        _ = self.read.take("column")
        exists = self.read.if_exists()
        return self._strict("column", self.read.name(), exists=exists)

    def _nameless(self) -> list[Effect] | None:
        """A constraint for which PostgreSQL chooses the name: by what it is."""
        read = self.read
        kind = read.any_of("primary", "unique", "foreign")
        _ = read.take("key")
        columns = plain_columns(read) if kind else None
        if not columns:
            return None
        part = definition(kind, columns)
        if kind == "foreign":
            return self._of("unnamed constraint", part) if read.take("references") else None
        thing = Thing("unnamed constraint", self.schema, self.table, part)
        return [Effect(thing, strict=kind == "primary")] if read.done else None

    def _drop(self) -> list[Effect] | None:
        _ = self.read.take("column")
        exists = self.read.if_exists()
        name = self.read.name()
        return self._strict("column", name, there=False, exists=exists) if self.read.done else None

    def _alter(self) -> list[Effect] | None:
        read = self.read
        _ = read.take("column")
        name = read.name()
        if read.take("set", "not", "null") or read.take("drop", "not", "null"):
            return self._of("not null", name, there=read.tokens[read.at - 3].text == "set")
        if read.take("drop", "default"):
            return self._of("default", name, there=False)
        if read.take("set", "default"):
            return self._of("default", name, expression(read))
        if read.take("set", "data", "type") or read.take("type"):
            written = type_name(read)
            return self._of("column type", name, written) if written and read.peek().text != "collate" else None
        if read.take("add", "generated"):
            kind = _IDENTITIES.get(read.any_of(*_IDENTITIES), "")
            return [Effect(Thing("identity", self.schema, self.table, name), value=kind, strict=True)] if kind else None
        if read.take("drop", "identity"):
            exists = read.if_exists()
            return self._strict("identity", name, there=False, exists=exists)
        return None

    def _trigger(self, enabled: str) -> list[Effect] | None:
        if self.read.next_is("all", "user"):
            return None
        return self._of("trigger enabled", self.read.name(), enabled)

    def _partition(self, *, there: bool) -> list[Effect] | None:
        schema, name = self.read.qualified()
        parent = json.dumps([self.schema, self.table])
        thing = Thing("partition", schema, name)
        return [Effect(thing, there, parent if there else None, strict=True)] if name else None

    def _replica_identity(self) -> list[Effect] | None:
        values = {"default": "d", "full": "f", "nothing": "n"}
        kind = values.get(self.read.any_of(*values))
        return self._of("replica identity", "is", kind) if kind else None

    def _options(self, *, there: bool) -> list[Effect] | None:
        inner = self.read.parenthesized()
        found: list[Effect] = []
        for one in inner.actions() if inner else ():
            name = one.name()
            value = "".join(each.text for each in one.tokens[one.at :]) if one.punct("=") else ""
            if not name or (there and not value) or "." in value:
                return None
            found += self._of("option", name, value if there else None, there=there) or []
        return found or None


def owner(kind: str, schema: str, name: str, read: Reader, part: str = "") -> list[Effect] | None:
    """OWNER TO a role that is named."""
    if read.next_is("current_user", "session_user", "current_role"):
        return None
    role = read.name()
    return [Effect(Thing(f"owner of {kind}", schema, name, part), value=role)] if role and name else None
