"""What the catalog says of a thing, against what a statement would leave."""

from __future__ import annotations

import json
from dataclasses import dataclass

from tabsync.migrations.changes.change import ANY_VALUE, Effect
from tabsync.migrations.changes.types import same_type
from tabsync.migrations.changes.values import same_expression


@dataclass(frozen=True, slots=True)
class Look:
    """there: None where what it belongs to is gone; whole: False for an index that was left invalid; value: as text."""

    there: bool | None
    whole: bool = True
    value: str | None = None


def matches(effect: Effect, look: Look | None, path: tuple[str, ...]) -> bool | None:
    """Whether a thing is as an effect leaves it; None when it can't be told."""
    if look is None:
        return None
    if effect.thing.kind in ("function", "comment on function", "owner of function", "privilege on function"):
        return _routine(effect, look, path)
    if look.there is None or look.there is not effect.there:
        return False
    if not effect.there:
        return True
    if not look.whole:
        return False
    return True if effect.value is None else _same(effect.thing.kind, effect.value, look.value or "", path)


def _same(kind: str, wanted: str, found: str, path: tuple[str, ...]) -> bool | None:
    if wanted == ANY_VALUE:
        return None
    if kind == "column type":
        return same_type(wanted, found, path)
    if kind == "default":
        return same_expression(wanted, found)
    if kind == "partition":
        (schema, name), (owner, parent) = json.loads(wanted), json.loads(found)
        if parent != name:
            return False
        return bool(schema == owner) if schema else (owner in path or None)
    if kind == "labels":
        return bool(json.loads(wanted) == json.loads(found or "[]"))
    return wanted == found


def _routine(effect: Effect, look: Look, path: tuple[str, ...]) -> bool | None:
    """Of all functions of its name, the one with its arguments."""
    kind, part = effect.thing.kind, effect.thing.part
    about = part if not kind.startswith("privilege") else json.loads(part)[2]
    every = json.loads(look.value or "[]")
    mine = [one for one in every if called(about, one["arguments"], path)]
    if about and any(called(about, one["arguments"], path) is None for one in every):
        return None
    if kind == "function":
        return _defined(effect, mine)
    if len(mine) != 1:
        return False if not mine else None
    if kind == "owner of function":
        return bool(mine[0]["owner"] == effect.value)
    if kind == "comment on function":
        return bool(mine[0]["comment"] == (effect.value if effect.there else None))
    role, privilege, _ = json.loads(part)
    return ([role, privilege] in mine[0]["privileges"]) is effect.there


def called(part: str, arguments: list[str], path: tuple[str, ...]) -> bool | None:
    """Whether a function has arguments of some types; without types any of its name."""
    if not part:
        return True
    wanted = json.loads(part)
    if len(wanted) != len(arguments):
        return False
    each = [same_type(one, other, path) for one, other in zip(wanted, arguments, strict=True)]
    return False if False in each else None if None in each else True


def _defined(effect: Effect, mine: list[dict[str, str]]) -> bool | None:
    if not effect.there or not mine:
        return bool(mine) is effect.there
    if effect.value is None:
        return True
    if not effect.value or len(mine) != 1:
        return None
    body, language = json.loads(effect.value)
    return bool(mine[0]["body"] == body and mine[0]["language"] == language)
