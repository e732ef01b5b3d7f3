"""Names without a schema: where they were looked for when the statements ran."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

from tabsync.migrations.changes.change import NOTHING, WITH_PARTITIONS, Change, Effect, Thing

_TYPES = ("type", "label", "labels", "owner of type", "comment on type", "privilege on type")
_ROUTINES = ("function", "owner of function", "comment on function", "privilege on function")
_NOWHERE = ("schema", "extension", "publication", "role", "owner of schema", "privilege on schema", "comment on schema")

Named = tuple[str, str]
"""In which catalog a name is, and the name."""


def names(changes: Sequence[Change]) -> set[Named]:
    """The names that have no schema, and where they would be."""
    return {
        one
        for change in changes
        for effect in change.effects
        if not effect.thing.schema
        for one in (named(effect.thing), ("class", effect.table))
        if one[0] and one[1] and one[1] != WITH_PARTITIONS
    }


def named(thing: Thing) -> Named:
    """In which catalog the name of a thing is; "" for what is in no schema."""
    kind = thing.kind
    if kind in _NOWHERE or kind.endswith("extension"):
        return "", thing.name
    catalog = "type" if kind in _TYPES else "proc" if kind in _ROUTINES else "class"
    return "statistic" if kind == "statistics" else catalog, thing.name


def placed(changes: Sequence[Change], there: Mapping[Named, Sequence[str]], path: Sequence[str]) -> list[Change]:
    """The changes with the schema of each thing. there: in which schemas a name is now; path: at the beginning."""
    begun, now = tuple(path), tuple(path)
    made: dict[Named, str] = {}
    temporary: set[str] = set()
    latest: dict[Thing, Effect] = {}
    found = []
    for change in changes:
        if change.path is not None:
            now = change.path or begun
        temporary.update([change.temporary] if change.temporary else [])
        if change.effects and all(one.thing.name in temporary for one in change.effects):
            found.append(NOTHING)
            continue
        effects = last_of_each(tuple(_placed(change, there, now, made)))
        effects += tuple(carried(effects, latest))
        latest.update({one.thing: one for one in effects})
        for one in effects:
            if one.there and (change.creates or one.before) and named(one.thing)[0]:
                made[named(one.thing)] = one.thing.schema
        found.append(replace(change, effects=effects))
    return found


def last_of_each(effects: Sequence[Effect]) -> tuple[Effect, ...]:
    """The effects of a statement; of several about the same thing the last one."""
    every: dict[Thing, list[Effect]] = {}
    for one in effects:
        every.setdefault(one.thing, []).append(one)
    if len(every) == len(effects):
        return tuple(effects)
    found = []
    for one in effects:
        same = every[one.thing]
        if len(same) == 1 or any(each.before or each.needed for each in same):
            found.append(one)
        elif one is same[-1]:
            found.append(replace(one, strict=False, replaced=any(each.there is not one.there for each in same)))
    return tuple(found)


def carried(effects: Sequence[Effect], latest: Mapping[Thing, Effect]) -> Iterator[Effect]:
    """What goes along with what is renamed: columns with their table, labels with their type."""
    for old, new in pairwise(effects):
        if not new.before or new.thing.kind not in ("relation", "type", "column"):
            continue
        before, after = old.thing, new.thing
        for thing, effect in latest.items():
            if (thing.schema, thing.name) != (before.schema, before.name) or thing == before:
                continue
            if after.kind == "column" and thing.part == before.part:
                yield replace(effect, thing=replace(thing, part=after.part), strict=False)
            elif (after.kind != "column" and thing.part) or (thing.kind == "labels" and after.kind == "type"):
                yield replace(effect, thing=replace(thing, schema=after.schema, name=after.name), strict=False)


def _placed(
    change: Change, there: Mapping[Named, Sequence[str]], path: Sequence[str], made: Mapping[Named, str]
) -> Iterator[Effect]:
    first = path[0] if path else ""

    def known(one: Named) -> str:
        if one in made:
            return made[one]
        return next((each for each in path if each in there.get(one, ())), first)

    before = ""
    for effect in change.effects:
        thing = effect.thing
        where = named(thing)
        if thing.schema or not where[0]:
            yield effect
            before = thing.schema
            continue
        if change.creates:
            schema = first
        elif effect.before:
            schema = before or known((where[0], effect.before))
        else:
            schema = known(("class", effect.table) if effect.table and thing.kind == "index" else where)
        before = schema
        yield replace(effect, thing=replace(thing, schema=schema))
