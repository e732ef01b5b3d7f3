"""What a deployment has changed in the catalog besides what the SQL of its migrations says."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psycopg

from tabsync.backups.restore.diff.objects import Known, differences, objects_in
from tabsync.kernel.errors import TabsyncError
from tabsync.kernel.step import Facts
from tabsync.migrations.changes.change import Change, Kind
from tabsync.migrations.changes.reader import cut
from tabsync.migrations.changes.statement import change
from tabsync.migrations.find import TOOLS
from tabsync.migrations.histories.script import Statement, statements
from tabsync.postgres.queries import named as named_sql
from tabsync.postgres.settings import Limits

if TYPE_CHECKING:
    from tabsync.workspace import Workspace

_SQL = named_sql(__package__, "deployments.sql")
_LIMITS = Limits(lock_timeout=1_000, statement_timeout=5_000)
_RELATIONS = 10_000  # with more of them, comparing all takes longer than a deployment may wait
_OURS = "tabsync_audit"
_MOST = 5_000  # changed objects that are looked at
_TEXT = 4_000  # characters of a definition
_PARTITION = "partition of "
_OF_TABLES = ("column", "index", "constraint", "trigger", "rule", "policy", "statistics")
_KINDS = ("table", "sequence", "function", "type", "schema", "column")
"""The words with which the names of privileges begin."""


@dataclass(frozen=True, slots=True)
class Named:
    """What the statements of some migrations speak of.

    things: names of what they change, whatever it is; renamed: names of what gets another one, old and new; dropped:
    of each that goes and takes others along, its name and its column's; words: every word of theirs; anything: one may
    do what it doesn't say.
    """

    things: frozenset[str]
    renamed: frozenset[str]
    dropped: frozenset[frozenset[str]]
    words: frozenset[str]
    anything: bool


def objects_now(workspace: Workspace) -> Known | None:
    """The objects of the database by their definitions; None where that can't be known in a few seconds."""
    try:
        with workspace.connect("deployments", _LIMITS) as connection:
            (count,) = connection.execute(_SQL["relations"]).fetchone() or (0,)
            return objects_in(connection) if count <= _RELATIONS else None
    except (psycopg.Error, TabsyncError):
        return None


def changed_objects(before: Known | None, after: Known | None) -> list[Facts] | None:
    """What is another one than before: its kind, its name, its table, its state, and the words of its definitions.

    Partitions that came, went or were detached, and what belongs to them, are left out: the clock makes them. None:
    it isn't known, or is too much to be looked at.
    """
    if before is None or after is None:
        return None
    found = differences(after, before)
    partitions = {one.name for one in found if _PARTITION in f"{one.new or ''} {one.old or ''}"[: 2 * _TEXT]}
    schemas = {name for kind, name in (*before, *after) if kind == "schema"}
    told: list[Facts] = []
    for one in found:
        table = (after.get((one.kind, one.name)) or before[one.kind, one.name]).of
        if one.name in partitions or table in partitions:
            continue
        kind, name = one.kind, one.name
        if kind == "privileges" and name.partition(" ")[0] in _KINDS:
            kind, _, name = name.partition(" ")
        texts = [
            one.new,
            one.old,
            *(side[at].text for at in (("sequence", name), ("table", table)) for side in (before, after) if at in side),
        ]
        told.append(
            {
                "kind": one.kind,
                "of": kind,
                "name": one.name,
                "state": one.state,
                "names": sorted(_own(kind, name, schemas)),
                "table": sorted(_words(table) - schemas),
                "schemas": sorted(_words(f"{name} {table}") & schemas),
                "in": sorted(_words(" ".join(text[:_TEXT] for text in texts if text))),
            }
        )
    return told if len(told) <= _MOST else None


def besides(changed: Sequence[Facts], scripts: Sequence[str]) -> tuple[list[str], bool]:
    """What changed and no statement speaks of, in words; and whether a statement may do what it doesn't say.

    scripts: the SQL of what was run. Whatever belongs to a table that a statement changes counts as changed by it.
    """
    said = named([one for script in scripts for one in statements(script)])
    own = {tool.table for tool in TOOLS} | {tool.schema for tool in TOOLS if tool.schema} | {_OURS}
    found = [
        f"{one['kind']} {one['name']} ({'gone' if one['state'] == 'old' else one['state']})"
        for one in changed
        if not _accounted(one, said) and not {*one["names"], *one["table"], *one["schemas"]} & own
    ]
    return found, said.anything


def named(every: Sequence[Statement]) -> Named:
    """What some statements speak of."""
    changes = [change(one) for one in every]
    things, renamed, dropped, anything = set[str](), set[str](), set[frozenset[str]](), False
    for statement, one in zip(every, changes, strict=True):
        mine = {*_things(one)}
        things |= mine
        words = {token.text for token in statement.tokens if token.kind == "word"}
        if any(effect.before for effect in one.effects) or "rename" in words or {"set", "schema"} <= words:
            renamed |= mine | {*_names_in(statement)}
        if "cascade" in words:
            gone = [effect.thing for effect in one.effects if not effect.there]
            dropped |= {frozenset(filter(None, (each.name, each.part.strip("[]")))) for each in gone}
        anything = anything or one.kind is Kind.OTHER or (one.mentions is None and "cascade" not in words)
    return Named(
        frozenset(things),
        frozenset(renamed),
        frozenset(dropped),
        frozenset(token.text for one in every for token in one.tokens if token.kind == "word"),
        anything,
    )


def _things(one: Change) -> Iterator[str]:
    """The names of what a statement changes: tables, types, functions, not their columns."""
    for effect in one.effects:
        if effect.needed:
            continue
        yield effect.thing.name
        yield effect.table
        yield effect.before.rpartition(".")[2]
        if effect.thing.kind in ("privilege on schema", "owner of schema", "comment on schema", "schema"):
            yield effect.thing.name
    yield from one.mentions or ()


def _accounted(one: Facts, said: Named) -> bool:
    """Whether what the statements say is a reason for a change."""
    names, table, within = {*one["names"]}, {*one["table"]}, {*one["in"]}
    if names & said.things or table & said.things:
        return True
    if one["kind"] == "setting":
        return {"alter", "database"} <= said.words or {"alter", "role"} <= said.words
    if one["kind"] == "default privileges":
        return {"default", "privileges"} <= said.words
    if one["kind"] == "privileges" and {"all", "in", "schema"} <= said.words:
        return True  # GRANT ... ON ALL TABLES IN SCHEMA
    if one["of"] == "sequence":  # it is named after the column that owns it
        return bool(within & said.things)
    if one["state"] == "old" and any(each <= within for each in said.dropped):
        return True  # CASCADE took it along, as its definition names what was dropped
    inherits = one["of"] in _OF_TABLES and bool(within & said.things) and bool({"inherits", "partition"} & within)
    return inherits or bool((within | {*one["schemas"]}) & said.renamed)


def _own(kind: str, name: str, schemas: Collection[str]) -> set[str]:
    """The name of an object, without its schema and its arguments; of a range the one of its multirange too."""
    if kind == "schema":
        return _words(name)
    if kind in ("function", "procedure", "aggregate"):
        plain = _words(name.partition("(")[0]) - {*schemas}
        return (
            plain
            | {one.replace("multirange", "range") for one in plain}
            | {one.removesuffix("_multirange") for one in plain}
        )
    if kind in _OF_TABLES and kind not in ("index", "statistics"):
        return set()  # whether its table is spoken of is what counts
    return _words(name) - {*schemas}


def _names_in(one: Statement) -> Iterator[str]:
    return (cut(token.text) for token in one.tokens if token.kind in ("word", "quoted"))


def _words(text: str) -> set[str]:
    return {name for one in statements(text.replace(";", " ")) for name in _names_in(one)}
