"""Rows back, in the console: a run that compares, its difference on the run's page, a plan that writes exactly that.

The difference lies in the comparison's directory, which this process holds until it was written, another comparison is
planned, or the console stops.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tabsync.backups.restore.rows.restore import Difference, missing_parents, samples
from tabsync.backups.restore.rows.comparison import CHANGED, DIFF, MISSING, SAME, UNLINKED
from tabsync.kernel.errors import BadUsage, Refused
from tabsync.kernel.plan import Plan
from tabsync.kernel.step import Facts
from tabsync.ledger.runs import one_run
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


def command_of(plan_or_run: Facts) -> list[str]:
    """The words of the command that compares, from a plan as JSON."""
    asked = {step["key"]: step["arguments"] for step in plan_or_run["steps"]}
    compare, words = asked["compare"], ["restore", "rows"]
    words += ["--table", str(Relation(**compare["table"])), "--where", compare["where"]]
    source = asked.get("warm") or asked["fetch"]
    words += ["--from", source.get("backup") or source["database"]]
    return words + (["--with-dependents"] if compare["with_dependents"] else [])


def difference_of(workspace: Workspace, run: str) -> Difference:
    """What a run found. Raises BadUsage when it compared nothing, Refused when what it found isn't kept any more."""
    found = one_run(workspace.ledger(), run)
    facts = {step["key"]: step["facts"] or {} for step in found["steps"]} if found else {}
    if found is None or "tables" not in facts.get("compare", {}):
        raise BadUsage(f"run {run} compared no rows", "to restore rows, choose a backup on the page Backups")
    asked = {step["key"]: step["arguments"] for step in found["plan"]["steps"]}
    scratch, backup = asked["compare"]["scratch"], (asked.get("warm") or asked["fetch"]).get("backup", "")
    if not (workspace.scratch(scratch) / DIFF).is_dir():
        raise Refused("the result of this comparison has expired", "compare again; the backup is unchanged")
    at = workspace.store().manifest(backup).snapshot["time"] if backup else found["started_at"]
    read = facts.get("fetch", {}).get("bytes", 0)  # a warm copy is not fetched
    return Difference(scratch, f"backup {backup}", at, found["target"], facts["compare"], read, run)


def shown(workspace: Workspace, run: str) -> Facts | None:
    """What the run's page shows of a difference, with the first rows of each kind; None when it isn't kept."""
    try:
        found = difference_of(workspace, run)
    except (BadUsage, Refused):
        return None
    tables = [
        {
            "name": str(Relation(one["schema"], one["name"])),
            "told": told(one),
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
    return {"tables": tables, "parents": parents, "writable": writable, "changed": found.total(CHANGED)}


def told(table: Facts) -> str:
    """The counts of a table in words."""
    return ", ".join(f"{table[state]:,} {word}" for state, word in _WORDS.items() if table[state]) or "nothing found"


def let_go(workspace: Workspace, scratches: Sequence[str]) -> None:
    """Delete what comparisons found."""
    for scratch in scratches:
        workspace.let_go(workspace.scratch(scratch))


def written(plan: Plan) -> list[str]:
    """The comparisons that a plan writes: needed no longer when it ran."""
    return [step.arguments["scratch"] for step in plan.steps if step.function.endswith(".rows.write:write")]


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
