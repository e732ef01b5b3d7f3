"""tabsync backup sign."""

from __future__ import annotations

from typing import Annotated

import typer

from tabsync.cli.common import ConfigOption, DryRunOption, JsonOption, StoreOption


def sign(
    backups: Annotated[
        list[str] | None,
        typer.Argument(metavar="ID", help="Backups to sign (default: all that this ledger recorded)."),
    ] = None,
    config: ConfigOption = None,
    store: StoreOption = None,
    dry_run: DryRunOption = False,
    json: JsonOption = False,
) -> None:
    """Sign backups that have no signature of a trusted key.

    They were taken before trusted_keys was set, or signed with a retired key. Every object is read first. A backup
    that this host's ledger does not know is only signed if you name it.
    """
    from tabsync.backups.sign import plan_sign
    from tabsync.cli.common import carry_out, console, note, print_json, show_plan, workspace

    found = workspace(config, None, store)
    plan = plan_sign(found, backups or ())
    if dry_run and plan.steps:
        show_plan(plan, json=json)
        return
    signed = carry_out(found, plan, json=json).results["sign"]["signed"] if plan.steps else []
    left = found.store().manifests()[1]
    if json:
        told = {"signed": signed, "left": [one.fact for one in left]}
        print_json({"version": 1, "kind": "sign", **told, **plan.target})
        return
    console().print(f"Signed: {', '.join(signed)}." if signed else "There was nothing to sign.", markup=False)
    for problem in left:
        note(problem.fact)
    for hint in dict.fromkeys(problem.hint for problem in left):
        note(hint, word="hint")
