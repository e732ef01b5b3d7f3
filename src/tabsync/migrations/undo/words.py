"""The statement that takes away what a statement of a migration has made, and what it loses. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from psycopg import sql

from tabsync.migrations.changes.change import Effect, Thing

_RELATIONS = {"r": "table", "p": "table", "v": "view", "m": "materialized view", "S": "sequence", "f": "foreign table"}
_ROUTINES = {"p": "procedure", "a": "aggregate"}
_HOLDING = ("r",)
"""Kinds of relations with rows of their own: those of a partitioned table are in its partitions."""


STAYS: Mapping[str, str] = {
    "label": "PostgreSQL can't drop a label of an enum; one that no row uses harms nothing",
    "valid": "a validated constraint can't be made NOT VALID again; that harms nothing",
    "default": "the default that it had before is not known",
    "column type": "the type that it had before is not known, nor the values that the change has cut",
    "row security": "it may have been so before, and without it rows are open to more roles",
    "forced": "it may have been so before, and without it rows are open to more roles",
    "role": "a role belongs to the whole cluster",
    "trigger enabled": "how it was before is not known",
}


@dataclass(frozen=True, slots=True)
class Identity:
    """A row of the catalog. letter: of its kind; age, written: transactions since it was made, and changed."""

    oid: int
    sub: int
    letter: str
    age: int
    written: int
    name: str


@dataclass(frozen=True, slots=True)
class Words:
    """statement: what takes it away; holds: the column whose values go with it, "*" for whole rows, "" for none.

    more: what else goes, in words, and is not kept.
    """

    statement: sql.Composed
    holds: str = ""
    more: str = ""


def takes_away(effect: Effect, one: Identity, *, concurrently: bool) -> Words | None:
    """The statement that takes away what is there now; None when there is none."""
    if effect.before:
        return _renames_back(effect, one)
    maker = _MAKERS.get(effect.thing.kind)
    words = maker(effect.thing, one) if maker else None
    if words and concurrently and effect.thing.kind in ("index", "unnamed index"):
        index = sql.Identifier(effect.thing.schema, one.name)
        return Words(sql.SQL("drop index concurrently {}").format(index))
    return words


def _name(thing: Thing) -> sql.Identifier:
    return sql.Identifier(thing.schema, thing.name)


def _relation(thing: Thing, one: Identity) -> Words | None:
    word = _RELATIONS.get(one.letter)
    if word is None:
        return None
    return Words(sql.SQL(f"drop {word} {{}}").format(_name(thing)), "*" if one.letter in _HOLDING else "")


def _index(thing: Thing, one: Identity) -> Words:
    return Words(sql.SQL("drop index {}").format(sql.Identifier(thing.schema, one.name)))


def _type(thing: Thing, one: Identity) -> Words:
    return Words(sql.SQL("drop domain {}" if one.letter == "d" else "drop type {}").format(_name(thing)))


def _extension(thing: Thing, _one: Identity) -> Words:
    return Words(sql.SQL("drop extension {}").format(sql.Identifier(thing.name)), more="what is in tables of its own")


def _alone(word: str) -> Callable[[Thing, Identity], Words]:
    def made(thing: Thing, _one: Identity) -> Words:
        names = [thing.schema, thing.name] if thing.schema else [thing.name]
        return Words(sql.SQL(f"drop {word} {{}}").format(sql.Identifier(*names)))

    return made


def _on_table(word: str) -> Callable[[Thing, Identity], Words]:
    def made(thing: Thing, _one: Identity) -> Words:
        return Words(sql.SQL(f"drop {word} {{}} on {{}}").format(sql.Identifier(thing.part), _name(thing)))

    return made


def _alters(text: str, *, holds: bool = False) -> Callable[[Thing, Identity], Words]:
    def made(thing: Thing, one: Identity) -> Words:
        part = one.name if thing.kind == "unnamed constraint" else thing.part
        statement = sql.SQL(f"alter table {{}} {text}").format(_name(thing), sql.Identifier(part))
        return Words(statement, part if holds else "")

    return made


def _function(_thing: Thing, one: Identity) -> Words:
    word = _ROUTINES.get(one.letter, "function")
    return Words(sql.SQL(f"drop {word} ") + sql.SQL(one.name))  # as the server spells it, with its arguments


def _detaches(thing: Thing, one: Identity) -> Words:
    return Words(sql.SQL("alter table ") + sql.SQL(one.letter) + sql.SQL(" detach partition {}").format(_name(thing)))


_MAKERS: Mapping[str, Callable[[Thing, Identity], Words | None]] = {
    "relation": _relation,
    "index": _index,
    "unnamed index": _index,
    "type": _type,
    "schema": _alone("schema"),
    "extension": _extension,
    "publication": _alone("publication"),
    "statistics": _alone("statistics"),
    "trigger": _on_table("trigger"),
    "policy": _on_table("policy"),
    "rule": _on_table("rule"),
    "function": _function,
    "partition": _detaches,
    "column": _alters("drop column {}", holds=True),
    "constraint": _alters("drop constraint {}"),
    "unnamed constraint": _alters("drop constraint {}"),
    "not null": _alters("alter column {} drop not null"),
    "identity": _alters("alter column {} drop identity"),
}


MADE = frozenset(_MAKERS)
"""The kinds of things that a statement makes and another one takes away."""


def _renames_back(effect: Effect, one: Identity) -> Words | None:
    thing, before = effect.thing, effect.before
    if thing.kind in ("relation", "index", "type", "statistics"):
        word = {"index": "index", "statistics": "statistics"}.get(thing.kind) or _RELATIONS.get(one.letter, "")
        if thing.kind == "type":
            word = "domain" if one.letter == "d" else "type"
        if not word:
            return None
        schema, dot, _ = before.partition(".")
        if dot and thing.kind != "index" and before == f"{schema}.{thing.name}":
            return Words(sql.SQL(f"alter {word} {{}} set schema {{}}").format(_name(thing), sql.Identifier(schema)))
        return Words(sql.SQL(f"alter {word} {{}} rename to {{}}").format(_name(thing), sql.Identifier(before)))
    if thing.kind in ("column", "constraint"):
        text = f"alter table {{}} rename {thing.kind} {{}} to {{}}"
        return Words(sql.SQL(text).format(_name(thing), sql.Identifier(thing.part), sql.Identifier(before)))
    if thing.kind in ("trigger", "policy", "rule"):
        text = f"alter {thing.kind} {{}} on {{}} rename to {{}}"
        return Words(sql.SQL(text).format(sql.Identifier(thing.part), _name(thing), sql.Identifier(before)))
    if thing.kind == "label":
        text = "alter type {} rename value {} to {}"
        return Words(sql.SQL(text).format(_name(thing), sql.Literal(thing.part), sql.Literal(before)))
    if thing.kind in ("schema", "publication"):
        text = f"alter {thing.kind} {{}} rename to {{}}"
        return Words(sql.SQL(text).format(sql.Identifier(thing.name), sql.Identifier(before)))
    return None
