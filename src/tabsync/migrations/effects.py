"""What a statement of a migration would change in the catalog, as far as that can be looked up afterwards. Pure.

Whatever is not understood here is nothing that can be told: never a guess.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tabsync.migrations.histories.script import Statement, Token


@dataclass(frozen=True, slots=True)
class Thing:
    """Something that the catalog has or has not. kind: as there.sql looks it up; schema: "" for the search_path.

    name: of the thing; part: a column, a label, a trigger, a constraint or a policy of it; value: what it has to be.
    """

    kind: str
    schema: str
    name: str
    part: str = ""
    value: str = ""


@dataclass(frozen=True, slots=True)
class Effect:
    """One change. there: whether the thing is there once it is done."""

    thing: Thing
    there: bool = True


class _Reader:
    """The tokens of a statement, from left to right."""

    def __init__(self, tokens: tuple[Token, ...]) -> None:
        self.tokens, self.at = tokens, 0

    def peek(self) -> Token:
        """The next token."""
        return self.tokens[self.at] if self.at < len(self.tokens) else Token("end", "")

    def take(self, *words: str) -> bool:
        """Go past some words, if they are next."""
        following = self.tokens[self.at : self.at + len(words)]
        if tuple(one.text for one in following if one.kind == "word") != words:
            return False
        self.at += len(words)
        return True

    def any_of(self, *words: str) -> str:
        """Go past one of some words; "" when none of them is next."""
        return next((one for one in words if self.take(one)), "")

    def punct(self, text: str) -> bool:
        """Go past a sign, if it is next."""
        if self.peek() != Token("punct", text):
            return False
        self.at += 1
        return True

    def name(self) -> str:
        """One name; "" when there is none."""
        one = self.peek()
        if one.kind not in ("word", "quoted"):
            return ""
        self.at += 1
        return one.text

    def qualified(self) -> tuple[str, str]:
        """A name with or without its schema: (schema, name)."""
        first = self.name()
        if first and self.punct("."):
            return first, self.name()
        return "", first

    def string(self) -> str:
        """A literal."""
        one = self.peek()
        if one.kind != "string":
            return ""
        self.at += 1
        return one.text

    def if_exists(self) -> None:
        """Go past IF [NOT] EXISTS."""
        _ = self.take("if", "not", "exists") or self.take("if", "exists")

    def actions(self) -> Iterator[_Reader]:
        """What is left, by the commas that stand in no parentheses."""
        depth, begin = 0, self.at
        for number in range(self.at, len(self.tokens)):
            one = self.tokens[number]
            if one.kind == "punct":
                depth += (one.text in "([") - (one.text in ")]")
                if one.text == "," and depth == 0:
                    yield _Reader(self.tokens[begin:number])
                    begin = number + 1
        yield _Reader(self.tokens[begin:])


def effects(statement: Statement) -> list[Effect]:
    """The changes of a statement; [] when it is none of the catalog, or isn't understood."""
    read = _Reader(statement.tokens)
    if read.take("create"):
        return _create(read)
    if read.take("drop"):
        return _drop(read)
    if read.take("alter", "type"):
        return _alter_type(read)
    if read.take("alter", "table"):
        return _alter_table(read)
    return []


_DROPPED = ("table", "view", "sequence", "index", "type", "domain", "schema", "extension")
_NAMELESS = ("primary", "unique", "foreign", "check", "exclude", "not")
_KINDS = {"table": "relation", "view": "relation", "sequence": "relation", "index": "index"}


def _create(read: _Reader) -> list[Effect]:
    replaces = read.take("or", "replace")
    _ = read.any_of("unlogged")
    if read.any_of("temporary", "temp", "local", "global"):
        return []
    if read.take("unique", "index") or read.take("index"):
        return _create_index(read)
    if read.take("materialized", "view") or read.any_of("table", "sequence"):
        read.if_exists()
        return _one("relation", *read.qualified())
    if replaces:
        return []  # what was there before may look the same
    if read.take("view") or read.take("recursive", "view"):
        return _one("relation", *read.qualified())
    if read.any_of("type", "domain"):
        return _one("type", *read.qualified())
    if read.take("schema"):
        read.if_exists()
        return _one("schema", "", read.name()) if read.peek() != Token("word", "authorization") else []
    if read.take("extension"):
        read.if_exists()
        return _one("extension", "", read.name())
    if read.take("constraint", "trigger") or read.take("trigger"):
        return _on_table(read, "trigger")
    if read.take("policy"):
        return _on_table(read, "policy")
    return []


def _create_index(read: _Reader) -> list[Effect]:
    _ = read.take("concurrently")
    read.if_exists()
    if read.peek() == Token("word", "on"):
        return []  # PostgreSQL chooses its name
    name = read.name()
    if not read.take("on"):
        return []
    _ = read.take("only")
    schema, _ = read.qualified()  # an index is in the schema of its table
    return _one("index", schema, name)


def _on_table(read: _Reader, kind: str) -> list[Effect]:
    name = read.name()
    while read.peek().kind != "end" and not read.take("on"):
        read.at += 1
    schema, table = read.qualified()
    return [Effect(Thing(kind, schema, table, name))] if name and table else []


def _drop(read: _Reader) -> list[Effect]:
    if read.any_of("trigger", "policy"):
        kind = read.tokens[read.at - 1].text
        read.if_exists()
        return [Effect(one.thing, there=False) for one in _on_table(read, kind)]
    kind = "relation" if read.take("materialized", "view") else ""
    if not kind and (
        word := read.any_of("table", "view", "sequence", "index", "type", "domain", "schema", "extension")
    ):
        kind = _KINDS.get(word, "type" if word == "domain" else word)
    if not kind:
        return []
    _ = read.take("concurrently")
    read.if_exists()
    found = []
    for one in read.actions():
        names = ("", one.name()) if kind in ("schema", "extension") else one.qualified()
        found += _one(kind, *names, there=False)
    return found


def _alter_type(read: _Reader) -> list[Effect]:
    schema, name = read.qualified()
    if read.take("add", "value"):
        read.if_exists()
        label = read.string()
        return [Effect(Thing("label", schema, name, label))] if label else []
    if read.take("rename", "value"):
        old = read.string()
        new = read.string() if read.take("to") else ""
        both = Thing("label", schema, name, old), Thing("label", schema, name, new)
        return [Effect(both[0], there=False), Effect(both[1])] if old and new else []
    if read.take("rename", "to"):
        return _renamed("type", schema, name, read.name())
    return []


def _alter_table(read: _Reader) -> list[Effect]:
    read.if_exists()
    _ = read.take("only")
    schema, table = read.qualified()
    _ = read.punct("*")
    if read.take("rename", "to"):
        return _renamed("relation", schema, table, read.name())
    found: list[Effect] = []
    for one in read.actions():
        action = _action(one, schema, table)
        if not action:
            return []  # a part that can't be told makes the whole so
        found += action
    return found


def _action(read: _Reader, schema: str, table: str) -> list[Effect]:
    def of(kind: str, part: str, value: str = "", *, there: bool = True) -> list[Effect]:
        return [Effect(Thing(kind, schema, table, part, value), there)] if part else []

    if read.take("add", "constraint"):
        return of("constraint", read.name())
    if read.take("drop", "constraint"):
        read.if_exists()
        return of("constraint", read.name(), there=False)
    if read.take("validate", "constraint"):
        return of("valid", read.name())
    if read.take("rename", "constraint"):
        return _both(of, "constraint", read)
    if read.take("rename"):
        _ = read.take("column")
        return _both(of, "column", read)
    if read.take("enable", "row", "level", "security") or read.take("disable", "row", "level", "security"):
        return of("row security", "on", there=read.tokens[0].text == "enable")
    if read.take("add"):
        if read.peek().kind == "word" and read.peek().text in (
            "primary",
            "unique",
            "foreign",
            "check",
            "exclude",
            "not",
        ):
            return []  # PostgreSQL chooses the constraint's name
        _ = read.take("column")
        read.if_exists()
        return of("column", read.name())
    if read.take("drop"):
        _ = read.take("column")
        read.if_exists()
        return of("column", read.name(), there=False)
    if read.take("alter"):
        _ = read.take("column")
        return _column(read, of)
    return []


def _column(read: _Reader, of: Callable[..., list[Effect]]) -> list[Effect]:
    name = read.name()
    if read.take("set", "not", "null"):
        return of("not null", name)
    if read.take("drop", "not", "null"):
        return of("nullable", name)
    if read.take("drop", "default"):
        return of("no default", name)
    return []


def _both(of: Callable[..., list[Effect]], kind: str, read: _Reader) -> list[Effect]:
    old = read.name()
    new = read.name() if read.take("to") else ""
    return [*of(kind, old, there=False), *of(kind, new)] if old and new else []


def _renamed(kind: str, schema: str, old: str, new: str) -> list[Effect]:
    return [*_one(kind, schema, old, there=False), *_one(kind, schema, new)] if old and new else []


def _one(kind: str, schema: str, name: str, *, there: bool = True) -> list[Effect]:
    return [Effect(Thing(kind, schema, name), there)] if name else []
