"""tabsync backup copy."""

from __future__ import annotations

from typing import Annotated

import typer

from tabsync.cli.common import ConfigOption, DryRunOption, JsonOption, StoreOption


def copy(
    to: Annotated[str, typer.Option("--to", help="A store: its name in tabsync.toml, or a directory or URL.")],
    backup: Annotated[str, typer.Argument(help="A backup's id, or latest.")] = "latest",
    config: ConfigOption = None,
    store: StoreOption = None,
    dry_run: DryRunOption = False,
    json: JsonOption = False,
) -> None:
    """Copy a backup to another store, and check every object there.

    Encrypted objects stay encrypted. If the manual keeps a class in several stores, its backups are copied when they
    are taken.
    """
    from tabsync.backups.copy import plan_copy
    from tabsync.cli.common import carry_out, console, print_json, show_plan, workspace
    from tabsync.kernel.units import human_bytes

    found = workspace(config, None, store)
    plan = plan_copy(found, backup, to)
    if dry_run:
        show_plan(plan, json=json)
        return
    outcome = carry_out(found, plan, json=json)
    copied = outcome.results["copy_1"]
    if json:
        print_json({"version": 1, "kind": "backup copy", "run": outcome.run_id, **copied})
        return
    sent = human_bytes(copied["sent_bytes"])
    console().print(
        f"Backup {copied['backup']} is now in {copied['store']}: {copied['objects']} objects, {sent} of them sent.",
        markup=False,
        soft_wrap=True,
    )
