"""tabsync restore in-place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tabsync.cli.common import ConfigOption, DatabaseOption, DryRunOption, JsonOption, StoreOption, YesOption

if TYPE_CHECKING:
    from tabsync.kernel.plan import Plan
    from tabsync.kernel.step import Facts


def in_place(
    backup: Annotated[str, typer.Option("--from", help="A backup's id, or latest: the newest full backup.")] = "latest",
    undo: Annotated[
        bool, typer.Option("--undo", help="Swap the database with the old one that the last restore renamed.")
    ] = False,
    terminate: Annotated[
        bool, typer.Option("--terminate", help="End the sessions that are connected to the database before the swap.")
    ] = False,
    drop_old: Annotated[bool, typer.Option("--drop-old", help="Drop the old database at the end.")] = False,
    clean: Annotated[
        bool,
        typer.Option(
            "--clean", help="Drop and create the objects in the database itself; needs no space for a second one."
        ),
    ] = False,
    no_owner: Annotated[bool, typer.Option("--no-owner", help="Restore without owners and privileges.")] = False,
    config: ConfigOption = None,
    database: DatabaseOption = None,
    store: StoreOption = None,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    json: JsonOption = False,
) -> None:
    """Replace the database with a backup. A backup of the current data is taken first.

    The backup is restored and verified under another name, then both databases are renamed in one transaction. The
    old database is kept as NAME_before_TIME until you drop it; --undo swaps the names back.
    """
    from tabsync.backups.restore.in_place import plan_restore_in_place, plan_undo_in_place, unfinished
    from tabsync.cli.common import note, note_estimate, print_json, run_approved, show_plan, workspace

    found = workspace(config, database, store)
    for left in unfinished(found):
        note(f'an interrupted restore left the incomplete database {left}; to drop it: drop database "{left}"')
    if undo:
        plan = plan_undo_in_place(found, terminate=terminate)
    else:
        plan = plan_restore_in_place(
            found, backup, no_owner=no_owner, terminate=terminate, clean=clean, drop_old=drop_old
        )
        note_estimate(found, plan)
    if dry_run:
        show_plan(plan, json=json)
        return
    if not (json or yes):
        note(f"{plan.title}: {plan.steps[-1].preview if undo else _destroys(plan)}")
    outcome = run_approved(found, plan, json=json, yes=yes)
    if outcome.error is not None and outcome.results.get("tidy_database", {}).get("dropped"):
        note("the copy was dropped; the database was not changed")
    outcome.raise_if_failed()
    if json:
        content = {"version": 1, "kind": "restore", "procedure": plan.procedure, "run": outcome.run_id}
        print_json(content | {"seconds": outcome.seconds, "target": plan.target} | _told(outcome.results))
    else:
        _show(_told(outcome.results), str(plan.target["database"]))


def _destroys(plan: Plan) -> str:
    return next(step.preview for step in plan.steps if step.risk.value == "destructive")


def _told(results: Mapping[str, Facts]) -> dict[str, Any]:
    """What came of it, in a few facts: the backup taken before, the tables and rows, the names exchanged."""
    verified, swapped = results.get("verify", {}), results.get("swap", {})
    return {
        "backup_before": results.get("commit", {}).get("backup"),
        "tables": verified.get("tables"),
        "rows": verified.get("rows"),
        "set_aside": None if "drop_old" in results else swapped.get("aside"),
    }


def _show(told: dict[str, Any], database: str) -> None:
    from tabsync.cli.common import console

    out = console()
    if told["rows"] is None:
        out.print(f"{database} is the old database again; the other one is now {told['set_aside']}.", markup=False)
        return
    out.print(
        f"{database} has {len(told['tables'])} tables, {told['rows']:,} rows, as many as in the backup.", markup=False
    )
    if told["set_aside"]:
        out.print(
            f"The old database is now {told['set_aside']}. To swap them back: tabsync restore in-place --undo",
            markup=False,
        )
    out.print(f"Backup from before the restore: {told['backup_before']}", markup=False)
