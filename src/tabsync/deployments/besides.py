"""What a deployment has changed in the catalog besides what the SQL of its migrations says."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import psycopg

from tabsync.backups.restore.diff.objects import Definition, Known, differences, objects_in
from tabsync.deployments.touched import names_in
from tabsync.kernel.errors import TabsyncError
from tabsync.kernel.step import Facts
from tabsync.migrations.changes.change import Kind
from tabsync.migrations.changes.statement import change
from tabsync.migrations.find import TOOLS
from tabsync.migrations.histories.script import Statement, statements
from tabsync.postgres.settings import Limits

if TYPE_CHECKING:
    from tabsync.workspace import Workspace

_LIMITS = Limits(lock_timeout=1_000, statement_timeout=5_000)
_OURS = "tabsync_audit"
_NOTED = 500  # changed objects that are recorded


def objects_now(workspace: Workspace) -> Known | None:
    """The objects of the database by their definitions; None where that can't be known in a few seconds."""
    try:
        with workspace.connect("deployments", _LIMITS) as connection:
            return objects_in(connection)
    except (psycopg.Error, TabsyncError):
        return None


def changed_objects(before: Known | None, after: Known | None) -> list[Facts] | None:
    """What is another one than before: its kind and name, in which state, and the names that its definitions have.

    Partitions that came or went, and what belongs to them, are left out: they are made by the clock. None: not known.
    """
    if before is None or after is None:
        return None
    found = differences(after, before)
    partitions = {one.name for one in found if "partition of" in (one.new or one.old or "")[:4_000]}
    schemas = {name for kind, name in (*before, *after) if kind == "schema"}
    told: list[Facts] = []
    for one in found:
        table = (after.get((one.kind, one.name)) or before[one.kind, one.name]).of
        if (one.name in partitions and one.state != "different") or table in partitions or one.kind == "setting":
            continue
        names = _names(one.name, schemas) | _names(table, schemas)
        if one.kind == "schema":
            names = _words(one.name)
        sequence = one.name.removeprefix("sequence ") if one.kind == "privileges" else one.name
        counts = (after.get(("sequence", sequence)) or before.get(("sequence", sequence)) or Definition("", "")).text
        definitions = _words(f"{one.new or ''} {one.old or ''} {counts}")
        told.append(
            {"kind": one.kind, "name": one.name, "state": one.state, "names": sorted(names), "in": sorted(definitions)}
        )
    return told[:_NOTED]


def besides(changed: Iterable[Facts], scripts: Sequence[str]) -> tuple[list[str], bool]:
    """What changed and no statement names, in words; and whether a statement may change what it doesn't name.

    A view's definition changes with the name of what it reads, and CASCADE drops what is not named. scripts: the SQL of
    what was run.
    """
    every = [one for script in scripts for one in statements(script)]
    changes = [change(one) for one in every]
    named = {name for _, name in names_in(every)}.union(*(one.mentions or () for one in changes))
    renamed = named if any(_renames(one) for one in every) else set()
    cascades = any(token.text == "cascade" for one in every for token in one.tokens)
    own = {tool.table for tool in TOOLS} | {tool.schema for tool in TOOLS if tool.schema} | {_OURS}
    found = [
        f"{one['kind']} {one['name']} ({'gone' if one['state'] == 'old' else one['state']})"
        for one in changed
        if not named & {*one["names"]}
        and not (named if _counts(one) else renamed) & {*one["in"]}
        and not (cascades and one["state"] == "old")
        and not any(each in one["name"] for each in own)
    ]
    return found, any(one.kind is Kind.OTHER or one.mentions is None for one in changes)


def _counts(one: Facts) -> bool:
    """Whether it is a sequence, or what may be done with one: it is named after its column."""
    return one["kind"] == "sequence" or (one["kind"] == "privileges" and str(one["name"]).startswith("sequence "))


def _renames(one: Statement) -> bool:
    return any(token.text in ("rename", "type") for token in one.tokens)


def _names(text: str, schemas: set[str]) -> set[str]:
    """The names in what an object is called, without the schema."""
    return _words(text) - schemas


def _words(text: str) -> set[str]:
    tokens = (token for one in statements(text.replace(";", " ")) for token in one.tokens)
    return {token.text for token in tokens if token.kind in ("word", "quoted")}
