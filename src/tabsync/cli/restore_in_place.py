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
    backup: Annotated[str, typer.Option("--from", help="A backup's id, or latest: the newest full one.")] = "latest",
    undo: Annotated[
        bool, typer.Option("--undo", help="Exchange the database and the one set aside last, back again.")
    ] = False,
    terminate: Annotated[
        bool, typer.Option("--terminate", help="End the sessions that are in the way of the exchange.")
    ] = False,
    drop_old: Annotated[bool, typer.Option("--drop-old", help="Drop the old database at the end.")] = False,
    clean: Annotated[
        bool,
        typer.Option("--clean", help="Drop and create the objects in the database itself: without room for a second."),
    ] = False,
    no_owner: Annotated[bool, typer.Option("--no-owner", help="Leave owners and grants out.")] = False,
    config: ConfigOption = None,
    database: DatabaseOption = None,
    store: StoreOption = None,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    json: JsonOption = False,
) -> None:
    """Put a backup in the place of the database. A backup of what is there now is taken first.

    The copy is made and verified beside the database, then both exchange names in one moment; the old one stays as
    NAME_before_TIME until it is dropped, and --undo exchanges them back.
    """
    from tabsync.backups.restore_in_place import plan_restore_in_place, plan_undo_in_place, unfinished
    from tabsync.cli.common import note, note_estimate, print_json, run_approved, show_plan, workspace

    found = workspace(config, database, store)
    for left in unfinished(found):
        note(f'an interrupted restore left the database {left}, which is not whole: drop database "{left}"')
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
        note("the copy was dropped again; the database is as it was")
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
        out.print(f"{database} is the old one again; the other is set aside as {told['set_aside']}.", markup=False)
        return
    out.print(
        f"{database} holds {len(told['tables'])} tables, {told['rows']:,} rows, as many as in the backup.", markup=False
    )
    if told["set_aside"]:
        out.print(
            f"The old one is {told['set_aside']}. Exchange them back: tabsync restore in-place --undo", markup=False
        )
    out.print(f"A backup of what was there before: {told['backup_before']}", markup=False)
