"""What a failed migration has left: what takes each of it away, what stays, and what was there before it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from tabsync.migrations.changes.change import Effect, Kind, Thing
from tabsync.migrations.changes.judging import Found
from tabsync.migrations.changes.looks import called
from tabsync.migrations.there import Seen
from tabsync.migrations.undo.data import Table, goes_along
from tabsync.migrations.undo.elsewhere import Elsewhere
from tabsync.migrations.undo.identities import SQL, identities
from tabsync.migrations.undo.words import MADE, STAYS, Identity, Words, takes_away
from tabsync.postgres.connect import Connection

_HELD = ("relation", "type", "function")
_RENAMED = ("relation", "type", "index")
_SEVERAL = ("function", "unnamed index", "unnamed constraint")
"""Of these another one may have been there of the same name, or of the same columns."""

_DROPPED = "what it dropped is only in a backup"
_NOT_KNOWN = "how it was before is not known"
_OTHERS = "it has partitions that the migration has not made, which would go with it"
_OUT_OF_ORDER = "it is there and what comes before it is not: somebody made it by hand, or it was there before"
_MAY_BE_OLDER = "it may have been there before"
_AGELESS = f"{_MAY_BE_OLDER}: PostgreSQL can't tell its age since a restore, pg_upgrade or 4 billion transactions"


@dataclass(frozen=True, slots=True)
class Act:
    """One statement that takes something away. seen: what made it; table: whose values go with it.

    proven: it is known that what it takes away was not there before, by more than its age; along: what others have made
    of a column, and that goes with it.
    """

    seen: Seen
    words: Words
    identity: Identity
    table: Table
    statement: str
    proven: bool = False
    along: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Stays:
    """What no statement takes away, and why. rows: it may have changed rows, which no catalog shows afterwards."""

    seen: Seen
    why: str
    rows: bool = False


@dataclass(slots=True)
class Half:
    """acts: in the order in which they are done; before: statements whose things were there before the migration."""

    acts: list[Act] = field(default_factory=list)
    stays: list[Stays] = field(default_factory=list)
    before: list[Seen] = field(default_factory=list)


def half_of(
    connection: Connection,
    seen: Sequence[Seen],
    since: int | None,
    path: Sequence[str],
    *,
    existed: bool = False,
    known: Mapping[Thing, bool] | None = None,
) -> Half:
    """What is left of a migration.

    since: transactions since the history's last entry: what is older was there before; None where ages say nothing;
    path: the schemas of names without one; existed: it failed since what it makes was there already, which is so of
    the last of its statements that is there; known: whether things were there before, where that was noted.
    """
    halving = _Halving(connection, seen, since, path, known or {})
    if existed:
        every = (number for number, one in enumerate(seen) if _made_something(one) and not halving.is_new(one))
        halving.older = max(every, default=-1)
    return halving.half()


class _Halving:
    def __init__(
        self,
        connection: Connection,
        seen: Sequence[Seen],
        since: int | None,
        path: Sequence[str],
        known: Mapping[Thing, bool],
    ) -> None:
        self.connection, self.seen, self.since, self.known = connection, seen, since, known
        self.first = path[0] if path else ""
        self.found = Half()
        self.older = -1
        self.identities = identities(connection, self._things())
        self.made: set[Table] = set()
        self.columns: set[tuple[Table, str]] = set()
        dropping = (one.change.effects for one in seen if not any(each.before for each in one.change.effects))
        every = (effect for effects in dropping for effect in effects if not effect.needed)
        self.dropped = {effect.thing for effect in every if effect.replaced or not effect.there}
        self.elsewhere = Elsewhere(connection, [one.statement for one in seen], self.first)

    def is_new(self, one: Seen) -> bool:
        """Whether it is known that nothing was there before of what a statement makes."""
        return any(effect.there and self._was(effect) is False for effect in one.change.effects)

    def _was(self, effect: Effect) -> bool | None:
        """Whether what a statement makes was there before; None where that was not noted."""
        was = self.known.get(effect.thing) if effect.thing.kind in MADE else None
        return None if was and effect.thing.kind in _SEVERAL else was

    def _look_what_goes(self) -> None:
        for number, effect in self._effects():
            now = self._now(effect.thing, number)
            skipped = number == self.older or self._out_of_order(number)
            if effect.thing in self.dropped or skipped or effect.before or not self._ours(effect, now):
                continue
            if effect.thing.kind in _HELD:
                if not self._may_be_older(effect, now):
                    self.made.add((now.schema, now.name))
            elif effect.thing.kind == "column" and not self._may_be_older(effect, now):
                self.columns.add(((now.schema, now.name), effect.thing.part))

    def half(self) -> Half:
        """All of it, the last statement first."""
        self._look_what_goes()
        for number in range(len(self.seen) - 1, -1, -1):
            one = self.seen[number]
            if one.found in (Found.NOTHING, Found.ABSENT) or not one.left:
                continue
            if number == self.older:
                self.found.before.append(one)
            elif one.change.kind is Kind.DATA:
                along = goes_along(one.statement, self.made, self.columns, self.first)
                if why := self.elsewhere.may_write(one.statement) if along else "it may have changed rows":
                    self.found.stays.append(Stays(one, why, rows=True))
            elif _done(one) and self._out_of_order(number):
                self.found.stays.append(Stays(one, _OUT_OF_ORDER))
            elif _done(one):
                self._undo(number, one)
                if why := self.elsewhere.may_write(one.statement):
                    self.found.stays.append(Stays(one, why, rows=True))
            else:
                why = one.why or "it can't be told what of it is there"
                self.found.stays.append(Stays(one, why, rows=one.change.kind is not Kind.CATALOG))
        return self.found

    def _out_of_order(self, number: int) -> bool:
        """Whether a statement before one is absent: then the migration never came that far."""
        earlier = self.seen[:number]
        return any(one.found is Found.ABSENT and one.change.kind is Kind.CATALOG for one in earlier)

    def _effects(self) -> Iterator[tuple[int, Effect]]:
        for number, one in enumerate(self.seen):
            if _done(one):
                yield from ((number, effect) for effect in one.change.effects)

    def _things(self) -> list[Thing]:
        return list(dict.fromkeys(self._now(effect.thing, number) for number, effect in self._effects()))

    def _now(self, thing: Thing, number: int) -> Thing:
        """A thing of a statement under the name that it has now, behind all renamings."""
        for later in self.seen[number + 1 :]:
            effects = later.change.effects if _done(later) else ()
            for old, new in pairwise(effects):
                if new.before and old.thing.kind in _RENAMED and _same_place(old.thing, thing):
                    thing = replace(thing, schema=new.thing.schema, name=new.thing.name)
                elif new.before and replace(old.thing, kind=thing.kind) == thing and old.thing.part:
                    thing = replace(thing, part=new.thing.part)
        return thing

    def _ours(self, effect: Effect, thing: Thing) -> Identity | None:
        """The row of a thing, if there is one only, and it was made (or renamed) since the history's last entry."""
        rows = self.identities.get(thing, [])
        was = self._was(effect)
        if was is False and len(rows) == 1:
            return rows[0]
        if was or self.since is None:
            return None
        if thing.kind == "function" and thing.part:
            rows = [one for one in rows if called(thing.part, _arguments(one.name), (thing.schema,))]
        if thing.kind.startswith("unnamed"):
            rows = [one for one in rows if one.age < self.since]
        if len(rows) != 1:
            return None
        return rows[0] if (rows[0].written if effect.before else rows[0].age) < self.since else None

    def _undo(self, number: int, one: Seen) -> None:
        for effect in reversed(one.change.effects):
            now = self._now(effect.thing, number)
            place = now.schema, now.name
            inside = now.kind not in _HELD or effect.before
            along = (now.schema, effect.table) in self.made if effect.table else False
            if along or (inside and place in self.made) or now.kind == "labels":
                continue  # it goes with its table
            if not effect.there:
                if not any(each.before for each in one.change.effects):
                    self.found.stays.append(Stays(one, _DROPPED))
                continue
            self._act(one, effect, now)

    def _act(self, one: Seen, effect: Effect, now: Thing) -> None:
        if effect.thing in self.dropped and not effect.before:
            self.found.stays.append(Stays(one, _DROPPED))  # without the new one there would be none at all
            return
        identity = self._ours(effect, now)
        if identity is None:
            rows = self.identities.get(now, [])
            if self._was(effect):
                replaced = effect.value is not None and not effect.strict
                self.found.stays.append(Stays(one, _NOT_KNOWN)) if replaced else self.found.before.append(one)
            elif rows and self.since is None:
                self.found.stays.append(Stays(one, STAYS.get(now.kind, _AGELESS)))
            elif rows and all(each.age >= (self.since or 0) for each in rows):
                self.found.before.append(one)
            elif rows or now.kind in STAYS or not self._known(now.kind):
                self.found.stays.append(Stays(one, STAYS.get(now.kind, _NOT_KNOWN)))
            return
        if now.kind == "relation" and not effect.before and self._has_others(identity):
            self.found.stays.append(Stays(one, _OTHERS))
            return
        thing = now if (now.schema, now.name) in self.made else effect.thing
        concurrently = any(token.text == "concurrently" for token in one.statement.tokens)
        words = takes_away(replace(effect, thing=thing), identity, concurrently=concurrently)
        if words is None or self._may_be_older(effect, now):
            self.found.stays.append(Stays(one, STAYS.get(now.kind, _MAY_BE_OLDER if words else _NOT_KNOWN)))
            return
        place = (now.schema, now.name) if words.holds else ("", "")
        act = Act(one, words, identity, place, words.statement.as_string(self.connection), self._was(effect) is False)
        if not any((each.identity, each.statement) == (identity, act.statement) for each in self.found.acts):
            self.found.acts.append(act)

    def _has_others(self, identity: Identity) -> bool:
        """Whether a table has partitions that the migration didn't make: they would be dropped with it."""
        if identity.letter != "p":
            return False
        rows = self.connection.execute(SQL["partitions"], {"oid": identity.oid}).fetchall()
        return any((schema, name) not in self.made for schema, name in rows)

    def _may_be_older(self, effect: Effect, now: Thing) -> bool:
        """Whether the row of a thing says nothing of its beginning, since something else may have written it again."""
        if effect.strict or effect.before or self._was(effect) is False:
            return False
        if now.kind in ("relation", "index", "unnamed index", "unnamed constraint"):
            return effect.value is not None  # OR REPLACE
        return now.kind not in ("column", "not null") or self._also(now)

    def _known(self, kind: str) -> bool:
        """Whether a thing of a kind that isn't found is simply gone already."""
        return kind in (*_HELD, "index", "column", "constraint", "trigger", "policy", "rule", "schema", "extension")

    def _also(self, thing: Thing) -> bool:
        """Whether another statement changes the same column, so that its row says nothing of this change."""
        same = [one for _, one in self._effects() if one.thing.part == thing.part and one.thing.name == thing.name]
        return len(same) > 1


def _done(one: Seen) -> bool:
    """Whether what a statement makes is there: also where only the age of its rows can tell whether it made them."""
    strict = all(effect.strict for effect in one.change.effects)
    unfinished = one.found is Found.PARTLY and [effect.thing.kind for effect in one.change.effects] == ["index"]
    return one.found is Found.THERE or unfinished or (one.found is Found.UNKNOWN and one.present and strict)


def _made_something(one: Seen) -> bool:
    """Whether something is there that a statement makes, and that would make it fail."""
    makes = any(effect.there and effect.strict for effect in one.change.effects)
    return makes and (one.present or one.found in (Found.THERE, Found.PARTLY))


def _same_place(one: Thing, other: Thing) -> bool:
    if one.kind == "index" or other.kind == "index":
        return one == other
    return (one.schema, one.name) == (other.schema, other.name)


def _arguments(signature: str) -> list[str]:
    inner = signature.partition("(")[2].removesuffix(")")
    return inner.split(",") if inner else []
