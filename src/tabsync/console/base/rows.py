"""Rows back, in the console: a run that compares, its difference on the run's page, a plan that writes exactly that.

The difference lies in the comparison's directory, which this process holds until it was written, another comparison is
planned, or the console stops.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tabsync.backups.restore.rows.compared import difference_of
from tabsync.backups.restore.rows.comparison import CHANGED, MISSING, SAME, UNLINKED
from tabsync.backups.restore.rows.restore import missing_parents, samples
from tabsync.kernel.errors import BadUsage, Refused
from tabsync.kernel.step import Facts
from tabsync.postgres.catalog import Relation

if TYPE_CHECKING:
    from tabsync.workspace import Workspace

_WORDS = {
    MISSING: "missing",
    UNLINKED: "reference lost",
    CHANGED: "different",
    SAME: "the same",
}
_LONGEST = 60  # characters of a value that are shown


def shown(workspace: Workspace, run: str) -> Facts | None:
    """What the run's page shows of a difference, with the first rows of each kind; None when it isn't kept."""
    try:
        found = difference_of(workspace, run)
    except (BadUsage, Refused):
        return None
    tables = [
        {
            "name": str(Relation(one["schema"], one["name"])),
            "told": describe(one),
            "notes": one["notes"],
            "rows": [
                {"state": _WORDS[state], "parts": _parts(one, new, old)}
                for state, new, old in samples(workspace, found, one)
            ],
        }
        for one in found.tables
    ]
    parents = [
        f"{one['count']} rows that {Relation(**one['table'])} references are missing in {Relation(**one['referenced'])}"
        for one, _ in missing_parents(workspace, found)
    ]
    writable = found.total(MISSING, UNLINKED, CHANGED) > 0 and not parents
    log = found.facts.get("log", {})
    hidden = {name for one in found.tables if one[MISSING] for name in one.get("masked", ())}
    told = {"notes": [f"From {found.source}.", *log["notes"]] if log else [], "masked": ", ".join(sorted(hidden))}
    return {"tables": tables, "parents": parents, "writable": writable, "changed": found.total(CHANGED), **told}


def describe(table: Facts) -> str:
    """The counts of a table in words."""
    return ", ".join(f"{table[state]:,} {word}" for state, word in _WORDS.items() if table[state]) or "nothing found"


def _parts(table: Facts, new: list[str | None], old: list[str | None]) -> list[tuple[str, str]]:
    """A row as (column, value): of a missing one what isn't NULL, of one that differs its key and what differs."""
    names, key = table["columns"], set(table["key"])
    if not old:
        return [(name, _short(value)) for name, value in zip(names, new, strict=True) if value is not None]
    return [
        (name, _short(one) if one == other else f"{_short(other)} → {_short(one)}")
        for name, one, other in zip(names, new, old, strict=True)
        if one != other or name in key
    ]


def _short(value: str | None) -> str:
    if value is None:
        return "NULL"
    return value if len(value) <= _LONGEST else f"{value[: _LONGEST - 1]}…"
