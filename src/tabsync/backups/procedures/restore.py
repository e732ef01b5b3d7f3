"""tabsync restore new, tables: what one may ask of them, their plans, what came of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from tabsync.kernel.errors import TabsyncError
from tabsync.kernel.page import Page
from tabsync.kernel.procedure import Planned
from tabsync.kernel.request import Argument, Option

if TYPE_CHECKING:
    from tabsync.kernel.plan import Plan
    from tabsync.kernel.procedure import Done
    from tabsync.kernel.runner import Outcome
    from tabsync.workspace import Workspace


@dataclass(frozen=True, slots=True)
class New:
    """What one may ask of restore new."""

    backup: Annotated[str, Option("A backup's id, or latest: the newest full backup.", ("--from",))] = "latest"
    file: Annotated[
        Path | None, Option("A dump that pg_dump wrote: custom, tar, directory or SQL; also as .gz or .zst.")
    ] = None
    name: Annotated[str | None, Option("Name of the new database.", ("--as",))] = None
    no_owner: Annotated[bool, Option("Restore without owners and privileges.")] = False
    keep_what_came: Annotated[
        bool, Option("If an object fails, keep the others in a database marked as partial, and list what is missing.")
    ] = False


@dataclass(frozen=True, slots=True)
class Tables:
    """What one may ask of restore tables."""

    names: Annotated[tuple[str, ...], Argument("Tables, as users or public.users.")]
    backup: Annotated[str, Option("A backup's id, or latest: the newest full backup.", ("--from",))] = "latest"
    file: Annotated[
        Path | None, Option("A dump that pg_dump wrote: custom, tar, directory or SQL; also as .gz or .zst.")
    ] = None
    into: Annotated[str | None, Option("A database on the same server (default: a new one).")] = None
    no_owner: Annotated[bool, Option("Restore without owners and privileges.")] = False


def plan_new(workspace: Workspace, request: New) -> Planned[Workspace]:
    """Plan a restore into a new database, of a backup or of a dump from elsewhere."""
    if request.file is not None:
        from tabsync.backups.restore.file import plan_restore_file

        _alone(request.backup)
        how = {"no_owner": request.no_owner, "keep_what_came": request.keep_what_came}
        return Planned(plan_restore_file(workspace, request.file, request.name, **how))
    from tabsync.backups.restore.new import plan_restore_new

    how = {"no_owner": request.no_owner, "keep_what_came": request.keep_what_came}
    plan = plan_restore_new(workspace, request.backup, request.name, **how)
    return Planned(plan, (estimated(workspace, plan),))


def show_new(done: Done[Workspace, New]) -> Page:
    """The new database, and what is not in it."""
    from tabsync.copies.dumps.left_out import shown

    outcome, of_backup = done.ran, done.request.file is None
    if outcome.error is not None and outcome.failed_step != "whole":
        return failed(outcome)
    page = _page(done, outcome)
    told, settled = outcome.results["verify"], outcome.results["settle"]
    for one in told.get("left_out", ()):
        page.note(f"left out: {one} needs a schema of the provider that this database does not have")
    for one in told.get("notes", ()):
        page.note(one)
    for one in settled["refused"]:
        page.note(f"not set on the database: {one['statement']} ({one['error']})")
    whole = not settled["missing"]
    words = f"Restored into database {told['database']}" if whole else f"PARTLY restored into {told['database']}"
    end = ", as many as in the backup." if of_backup and whole else "."
    page.line(f"{words}: {len(told['tables'])} tables, {told['rows']:,} rows{end}")
    for one in settled["missing"]:
        page.line(f"missing: {one['told']}", style="bad")
    lacking = settled["not_in_this_backup"]
    if lacking:
        page.line("Not in the backup, and missing on this server:")
    for line in shown(lacking):
        page.line(f"  {line}")
    if of_backup and not settled["noted"]:
        page.note("this backup has no list of what a dump leaves out: it was taken by an older tabsync")
    return page


def plan_tables(workspace: Workspace, request: Tables) -> Planned[Workspace]:
    """Plan a restore of some tables with all that they need."""
    if request.file is not None:
        from tabsync.backups.restore.file import plan_restore_file_tables

        _alone(request.backup)
        plan, selection = plan_restore_file_tables(
            workspace, request.file, list(request.names), request.into, no_owner=request.no_owner
        )
    else:
        from tabsync.backups.restore.tables import plan_restore_tables

        plan, selection = plan_restore_tables(
            workspace, list(request.names), request.backup, request.into, no_owner=request.no_owner
        )
    notes = [f"left out: {one}" for one in selection.left_out]
    return Planned(plan, (*notes, *(f"included without rows: {table}" for table in selection.brought)))


def show_tables(done: Done[Workspace, Tables]) -> Page:
    """The tables that were restored, and where."""
    outcome = done.ran
    if outcome.error is not None:
        return failed(outcome)
    page, told = _page(done, outcome), outcome.results["verify"]
    for one in told.get("notes", ()):
        page.note(one)
    rows = ", ".join(f"{one['schema']}.{one['name']} ({one['rows']:,} rows)" for one in told["tables"])
    end = "." if done.request.file else ", as many as in the backup."
    page.line(f"Restored into database {told['database']}: {rows}{end}")
    return page


def estimated(workspace: Workspace, plan: Plan) -> str:
    """How much a restore reads, and how long the last one took for as much."""
    from tabsync.backups.restore.estimate import estimate

    manifest = workspace.store().manifest(str(plan.steps[0].arguments["backup"]))
    return str(estimate(workspace.ledger(), plan, manifest))


def failed(outcome: Outcome) -> Page:
    """What became of the incomplete database when a restore failed."""
    page = Page("restore", error=outcome.error if isinstance(outcome.error, TabsyncError) else None)
    if outcome.results.get("tidy_database", {}).get("dropped"):
        page.note("the incomplete database was dropped")
    return page


def _alone(backup: str) -> None:
    from tabsync.kernel.errors import BadUsage

    if backup != "latest":
        raise BadUsage("--from can't be used with --file", "give one of the two")


def _page(done: Done[Workspace, Any], outcome: Outcome) -> Page:
    plan = done.planned.plan
    data: dict[str, Any] = {"procedure": plan.procedure, "run": outcome.run_id, "seconds": outcome.seconds}
    data |= {"target": plan.target, **outcome.results["verify"]} | _settled(outcome)
    error = outcome.error if isinstance(outcome.error, TabsyncError) else None
    if error:
        data["error"] = {"fact": error.fact, "hint": error.hint, "exit_code": int(error.exit_code)}
    return Page("restore", data, error=error)


def _settled(outcome: Outcome) -> dict[str, Any]:
    """What came of the database itself, for programs: see backups/restore/settle.py."""
    facts = outcome.results.get("settle")
    if facts is None:
        return {}
    return {
        "partial": bool(facts["missing"]),
        "missing": facts["missing"],
        "not_given": facts["refused"],
        "not_in_this_backup": facts["not_in_this_backup"] if facts["noted"] else None,
    }
