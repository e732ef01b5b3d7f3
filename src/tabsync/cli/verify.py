"""tabsync backup verify."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from tabsync.cli.common import ConfigOption, DatabaseOption, DryRunOption, JsonOption, StoreOption

if TYPE_CHECKING:
    from tabsync.kernel.plan import Plan
    from tabsync.kernel.runner import Outcome
    from tabsync.workspace import Workspace


def verify(
    backup: Annotated[str, typer.Argument(help="A backup's id, latest, or all.")] = "latest",
    deep: Annotated[
        bool, typer.Option("--deep", help="Restore it into a scratch server and check the copy, also with amcheck.")
    ] = False,
    config: ConfigOption = None,
    database: DatabaseOption = None,
    store: StoreOption = None,
    dry_run: DryRunOption = False,
    json: JsonOption = False,
) -> None:
    """Verify that all stored objects of a backup are unchanged.

    --deep also proves that it can be restored. Exit code 1 if anything is missing, corrupt, or (with --deep) not
    proven. The verdict is written into the ledger.
    """
    from tabsync.backups.verify import chosen, plan_verify, plan_verify_deep
    from tabsync.cli.common import print_json, show_plan, workspace

    found = workspace(config, database, store)
    backups = chosen(found, backup, full=deep)
    full = _full(found, backups) if deep and backup == "all" else backups if deep else []
    rest = [one for one in backups if one not in full]
    plans = [plan_verify_deep(found, one) for one in full] + ([plan_verify(found, rest)] if rest else [])
    if dry_run and json and len(plans) > 1:  # stdout is one JSON document
        print_json(
            {"version": 1, "kind": "plans", "plans": [{"digest": one.digest(), **one.to_json()} for one in plans]}
        )
        return
    if dry_run:
        for plan in plans:
            show_plan(plan, json=json)
        return
    outcomes = [_run(found, plan, json=json) for plan in plans]
    if json:
        print_json({"version": 1, "kind": "verify", "store": found.store().url, "verdicts": _told(outcomes)})
    else:
        for outcome in outcomes:
            _show(outcome)
    if not all(one["ok"] for one in _told(outcomes)):
        raise typer.Exit(1)


def _full(found: Workspace, backups: list[str]) -> list[str]:
    full = {one.id for one in found.store().manifests()[0] if one.kind == "full"}
    return [one for one in backups if one in full]


def _run(found: Workspace, plan: Plan, *, json: bool) -> Outcome:
    from tabsync.cli.common import run_approved
    from tabsync.kernel.errors import ProblemFound

    outcome = run_approved(found, plan, json=json)
    verdict = "read" in outcome.results or "record" in outcome.results
    if not (isinstance(outcome.error, ProblemFound) and verdict):  # a problem that was found is a result
        outcome.raise_if_failed()
    return outcome


def _told(outcomes: list[Outcome]) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = []
    for outcome in outcomes:
        fact = getattr(outcome.error, "fact", "")
        deep = outcome.results.get("record", {}) if "read" not in outcome.results else None
        if deep is None:
            told += [one | {"depth": "shallow", "run": outcome.run_id} for one in outcome.results["read"]["backups"]]
        else:
            told.append(deep | {"wrong": [fact] if fact else [], "run": outcome.run_id})
    return told


def _show(outcome: Outcome) -> None:
    from rich.table import Table
    from rich.text import Text

    from tabsync.cli.common import console
    from tabsync.kernel.units import human_bytes, human_seconds

    out = console()
    if "read" not in outcome.results:
        _show_deep(outcome)
        return
    verdicts = outcome.results["read"]["backups"]
    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in ("Backup", "Kind", "Files", "Stored", "Signed", "Verdict"):
        table.add_column(name, justify="right" if name in ("Files", "Stored") else "left")
    for one in verdicts:
        word = Text("unchanged", style="green") if one["ok"] else Text("DAMAGED", style="bold red")
        signed = "yes" if one["signed"] else "no"
        table.add_row(one["backup"], one["kind"], str(one["files"]), human_bytes(one["bytes"]), signed, word)
    out.print(table)
    for one in verdicts:
        for line in one["wrong"]:
            out.print(Text(f"{one['backup']}: {line}", style="red"))
    bad = sum(not one["ok"] for one in verdicts)
    size, seconds = human_bytes(outcome.results["read"]["bytes"]), human_seconds(sum(outcome.seconds.values()))
    if bad:
        out.print(Text(f"{bad} of {len(verdicts)} backups are corrupt; {size} read in {seconds}", style="bold red"))
        out.print("hint: restore the objects from a copy of the store, or: tabsync backup take full")
    else:
        out.print(Text(f"Verified: every stored byte is unchanged; {size} read in {seconds}", style="bold green"))
        out.print("To prove that it can be restored: tabsync backup verify ID --deep")


def _show_deep(outcome: Outcome) -> None:
    from rich.text import Text

    from tabsync.cli.common import console

    out, facts = console(), outcome.results["record"]
    for line in facts["unproven"]:
        out.print(f"not proven: {line}", style="yellow", markup=False)
    for line in facts["not_checked"]:
        out.print(f"not checked: {line}", style="yellow", markup=False)
    for line in facts["notes"]:
        out.print(f"note: {line}", markup=False)
    style = "bold green" if facts["ok"] else "bold yellow" if facts["content"] == "partial" else "bold red"
    out.print(Text(f"{facts['backup']}: {facts['sentence']}", style=style))
    error = outcome.error
    if error is not None:
        out.print(Text(f"error: {getattr(error, 'fact', error)}", style="red"))
        if hint := getattr(error, "hint", ""):
            out.print(f"hint: {hint}", markup=False)
