"""A comparison of rows that was run: its command, and what it found, for as long as that is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tabsync.backups.restore.rows.asked import AUDIT, Asked
from tabsync.backups.restore.rows.comparison import DIFF
from tabsync.backups.restore.rows.restore import Difference
from tabsync.kernel.errors import BadUsage, Refused
from tabsync.kernel.step import Facts
from tabsync.ledger.runs import one_run
from tabsync.postgres.catalog import Relation

if TYPE_CHECKING:
    from tabsync.workspace import Workspace


def words_of(plan_or_run: Facts) -> list[str]:
    """The words of the command that compares, from a plan as JSON."""
    asked = {step["key"]: step["arguments"] for step in plan_or_run["steps"]}
    compare, words = asked["compare"], ["restore", "rows"]
    words += ["--table", str(Relation(**compare["table"]))]
    words += ["--where", compare["where"]] if compare["where"] else []
    if "asked" in compare:
        words += ["--from", AUDIT, *Asked(**compare["asked"]).words()]
    else:
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
    scratch, backup = asked["compare"]["scratch"], asked.get("warm", asked.get("fetch", {})).get("backup", "")
    if not (workspace.scratch(scratch) / DIFF).is_dir():
        raise Refused("the result of this comparison has expired", "compare again; the backup is unchanged")
    if "asked" in asked["compare"]:
        source = f"the audit log, {Asked(**asked['compare']['asked']).state}"
        return Difference(scratch, source, found["started_at"], found["target"], facts["compare"], 0, run)
    at = workspace.store().manifest(backup).snapshot["time"] if backup else found["started_at"]
    read = facts.get("fetch", {}).get("bytes", 0)  # a warm copy is not fetched
    return Difference(scratch, f"backup {backup}", at, found["target"], facts["compare"], read, run)
