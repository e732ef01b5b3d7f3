"""What a statement may do to things that it does not name: what hangs on what it drops or renames."""

from __future__ import annotations

from tabsync.migrations.changes.change import ABOUT, WITH_PARTITIONS, Change, Effect, Thing

_OF_COLUMNS = ("constraint", "valid", "unnamed constraint", "unnamed index", "index", "trigger", "not null")
_PARTS = ("trigger", "trigger enabled", "policy", "rule", "constraint", "valid", "not null", "default", "identity")
"""Kinds of what a table hands on to its partitions and to what inherits from it, under the same name."""


_MADE = ("relation", "column", "index", "constraint", "trigger", "policy", "rule", "type", "labels", "function")


def touchy(change: Change) -> bool:
    """Whether it may change something that it does not name."""
    return change.mentions is None or bool(change.mentions) or any(_reaches(one) for one in change.effects)


def touches(change: Change, thing: Thing) -> bool:
    """Whether a statement may change a thing in a way that its effects don't say.

    It is better to say so too often: what the statement itself names shows whether it was done.
    """
    if change.mentions is None or thing.name in change.mentions or thing.part in change.mentions:
        return True
    return any(_touches(one, thing) for one in change.effects)


def _gone(effect: Effect) -> bool:
    return not effect.there or bool(effect.before)


def _reaches(effect: Effect) -> bool:
    kind = effect.thing.kind
    if kind in ("relation", "type", "column", "schema", "extension", "index"):
        return _gone(effect)
    return (
        kind in _PARTS
        or kind in ("label", ABOUT)
        or kind in ("function", "unnamed constraint", "column type", "partition")
    )


def _touches(effect: Effect, thing: Thing) -> bool:
    one = effect.thing
    if not _reaches(effect) or one == thing:
        return False
    if one.kind in ("schema", "extension") or effect.table == WITH_PARTITIONS:
        return True
    if one.kind == "relation":
        return one.name == thing.name
    if one.kind == ABOUT:
        return one.name == thing.name and thing.kind not in _MADE
    if one.kind == "type":
        return one.name == thing.name or thing.kind == "column type"
    if one.kind == "label":
        return one.name == thing.name and thing.kind == "labels"
    if one.kind == "function":
        return one.name == thing.name
    if one.kind == "index":
        return thing.kind in _OF_COLUMNS
    if one.kind in ("column", "column type", "partition", "constraint", "unnamed constraint"):
        return (
            thing.part == one.part
            or thing.kind in _OF_COLUMNS
            or (thing.kind == "default" and one.kind != "constraint")
        )
    return thing.part == one.part
