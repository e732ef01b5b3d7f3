"""tabsync backup prune, hold, release."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from tabsync.cli.common import ConfigOption, DryRunOption, JsonOption, StoreOption, YesOption

if TYPE_CHECKING:
    from tabsync.backups.prune import Survey


def prune(
    apply: Annotated[
        bool, typer.Option("--apply", help="Delete, after a confirmation; without it nothing is changed.")
    ] = False,
    grace: Annotated[
        str,
        typer.Option("--grace", help="Age from which unused objects are deleted; a running backup needs younger ones."),
    ] = "24 hours",
    config: ConfigOption = None,
    store: StoreOption = None,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    json: JsonOption = False,
) -> None:
    """Show the backups that have expired; --apply deletes them.

    Backups expire by the manual's Retention table. Always kept: held backups (tabsync backup hold), each database's
    newest proven backup, and its newest of each kind.
    """
    from tabsync.backups.prune import plan_prune, survey
    from tabsync.copies.warm import cool_pruned
    from tabsync.cli.common import carry_out, console, print_json, show_plan, workspace
    from tabsync.kernel.errors import BadUsage
    from tabsync.kernel.units import human_bytes, parse_duration

    try:
        duration = parse_duration(grace)
    except ValueError as error:
        raise BadUsage(str(error), "tabsync backup prune --grace '24 hours'") from None
    found = workspace(config, None, store)
    seen = survey(found, duration)
    plan = plan_prune(found, seen)
    if dry_run and plan.steps:
        show_plan(plan, json=json)
        return
    if not json:
        _show(seen)
    if not apply or dry_run or not plan.steps:
        if json:
            print_json({"version": 1, "kind": "prune", "applied": False, **seen.to_json()})
        elif plan.steps:
            console().print("Nothing was changed. To delete them: tabsync backup prune --apply")
        return
    results = carry_out(found, plan, json=json, yes=yes).results
    collected = results.get("collect", {"objects": 0, "bytes": 0})
    wal = results.get("forget_wal", {"files": 0, "bytes": 0})
    deleted = results.get("forget", {}).get("deleted", [])
    cool_pruned(found, deleted)
    if json:
        told = {"deleted": deleted, "collected": collected, "wal": wal}
        print_json({"version": 1, "kind": "prune", "applied": True, **told})
    else:
        freed = f"{collected['objects']} objects, {human_bytes(collected['bytes'])} freed"
        freed += f"; {wal['files']} WAL files, {human_bytes(wal['bytes'])} freed" if wal["files"] else ""
        console().print(f"Deleted: {', '.join(deleted) or 'no backup'}; {freed}.", markup=False)


def hold(
    backup: Annotated[str, typer.Argument(help="A backup's id, or latest.")],
    reason: Annotated[str, typer.Option("--reason", help="Reason, which list and prune show.")] = "",
    config: ConfigOption = None,
    store: StoreOption = None,
    dry_run: DryRunOption = False,
    json: JsonOption = False,
) -> None:
    """Hold a backup: it does not expire until it is released."""
    from tabsync.backups.hold import plan_hold
    from tabsync.cli.common import carry_out, console, print_json, show_plan, workspace

    found = workspace(config, None, store)
    plan = plan_hold(found, backup, reason)
    if dry_run:
        show_plan(plan, json=json)
        return
    facts = carry_out(found, plan, json=json).results["hold"]
    if json:
        print_json({"version": 1, "kind": "hold", **facts})
        return
    console().print(
        f"Backup [bold]{facts['backup']}[/] is held. To release it: tabsync backup release {facts['backup']}",
        markup=True,
    )


def release(
    backup: Annotated[str, typer.Argument(help="The id of a held backup.")],
    config: ConfigOption = None,
    store: StoreOption = None,
    dry_run: DryRunOption = False,
    json: JsonOption = False,
) -> None:
    """Release a held backup: it then expires by its retention class."""
    from tabsync.backups.hold import plan_release
    from tabsync.cli.common import carry_out, console, print_json, show_plan, workspace

    found = workspace(config, None, store)
    plan = plan_release(found, backup)
    if dry_run:
        show_plan(plan, json=json)
        return
    facts = carry_out(found, plan, json=json).results["release"]
    if json:
        print_json({"version": 1, "kind": "release", **facts})
        return
    console().print(f"Backup [bold]{backup}[/] is no longer held.", markup=True)


def _show(seen: Survey) -> None:
    from rich.table import Table
    from rich.text import Text

    from tabsync.cli.common import console
    from tabsync.kernel.units import human_bytes, human_seconds

    out = console()
    if seen.backups:
        table = Table(box=None, padding=(0, 2, 0, 0))
        for name in ("Backup", "Database", "", "Why", "Frees"):
            table.add_column(name, justify="right" if name == "Frees" else "left")
        for one in seen.backups:
            verdict = "[green]kept[/]" if one["keep"] else "[red]expired[/]"
            frees = "" if one["keep"] else human_bytes(one["freed_bytes"])
            table.add_row(one["id"], Text(one["database"]), verdict, Text(one["why"]), frees)
        out.print(table)
    for row in seen.provider:
        kept = f"class {row['class']}: kept by the provider ({', '.join(row['stores'])})"
        out.print(f"{kept} for {human_seconds(row['retention_seconds'])}", markup=False)
    if seen.garbage:
        out.print(f"{seen.garbage} objects that no backup needs: {human_bytes(seen.garbage_bytes)}")
    if not seen.going and not seen.garbage:
        out.print("Nothing to delete.")
        return
    later = f", and {human_bytes(seen.later)} more after the grace period" if seen.later else ""
    out.print(
        f"{len(seen.going)} of {len(seen.backups)} backups have expired: {human_bytes(seen.freed)} to free{later}."
    )
    if seen.wal_files:
        out.print(
            f"{seen.wal_files} WAL files have expired, {human_bytes(seen.wal_bytes)}: no physical backup needs them."
        )
