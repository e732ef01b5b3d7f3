"""Migrations that a tool would apply next and of which something is there: most tools note no failure, so nobody knows.

It is pending, or was noted as rolled back by a command that looked at nothing.

What counts is only what would fail if the tool ran the file now: an index that is there already, a column that is gone.
What IF EXISTS or OR REPLACE passes over, and what may be set twice, was perhaps so before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tabsync.migrations.changes.change import Change, Effect, Thing
from tabsync.migrations.changes.judging import Found
from tabsync.migrations.changes.touching import touches
from tabsync.migrations.find import TOOLS, Tool
from tabsync.migrations.histories.history import History, Migration, State
from tabsync.migrations.histories.script import Statement
from tabsync.migrations.there import Seen, what_is_there
from tabsync.postgres.connect import Connection

_MOST = 3  # of a history: the first ones, one of which a deployment was at
_LONGEST = 200_000  # characters of a file

_CONTROL = ("begin", "start", "commit", "end", "rollback", "abort", "savepoint", "release")


def with_begun(
    connection: Connection, tool: Tool, history: History, path: list[str]
) -> tuple[History, dict[str, list[Seen]]]:
    """A history whose next migrations are marked where something of them is there; and what that is."""
    if tool.script is None or not history.folder:
        return history, {}
    found: dict[str, list[Seen]] = {}
    earlier: list[Change] = []
    for one in history.of(State.PENDING, State.ROLLED_BACK)[:_MOST]:
        script = tool.script(Path(history.folder), one.name)
        if script is None or len(script) > _LONGEST:
            break
        seen = without_notes(what_is_there(connection, script, path))
        if is_begun(seen, earlier):
            found[one.name] = seen
        earlier += [each.change for each in seen]
    return replace(history, migrations=tuple(_marked(one, found) for one in history.migrations)), found


def is_begun(seen: Sequence[Seen], earlier: Sequence[Change] = ()) -> bool:
    """Whether a statement is there that would fail if it ran again. earlier: what comes before, and may undo it."""
    before = list(earlier)
    for one in seen:
        is_there = one.present or one.found is Found.THERE or (one.found is Found.PARTLY and not one.before)
        if is_there and any(effect.strict and not _touched(effect, before) for effect in one.change.effects):
            return True
        before.append(one.change)
    return False


def without_notes(seen: Sequence[Seen]) -> list[Seen]:
    """Without BEGIN and COMMIT, and what the tool writes into its own table: nothing that can be there."""
    return [one for one in seen if not _is_note(one.statement)]


def _is_note(one: Statement) -> bool:
    first = one.tokens[0].text if one.tokens else ""
    tables = {tool.table for tool in TOOLS}
    names = (token.text for token in one.tokens[:8] if token.kind in ("word", "quoted"))
    return first in _CONTROL or any(name in tables for name in names)


def _marked(one: Migration, found: dict[str, list[Seen]]) -> Migration:
    return replace(one, begun=True) if one.name in found else one


def _touched(effect: Effect, before: Sequence[Change]) -> bool:
    """Whether something before it may have changed the same thing, or taken it away with what it belongs to."""
    thing = effect.thing
    table = Thing("relation", thing.schema, effect.table or thing.name)
    for one in before:
        for each in one.effects:
            same = each.thing.name == thing.name and each.thing.part in (thing.part, "")
            gone = not each.there and each.thing.kind == "relation" and each.thing.name == table.name
            if same or gone:
                return True
        if touches(one, thing):
            return True
    return False
