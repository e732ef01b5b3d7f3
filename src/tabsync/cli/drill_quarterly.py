"""tabsync drill quarterly."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from tabsync.cli.common import ConfigOption, DatabaseOption, DryRunOption, JsonOption, StoreOption

if TYPE_CHECKING:
    from tabsync.backups.drill.report import Report


def quarterly(
    config: ConfigOption = None,
    database: DatabaseOption = None,
    store: StoreOption = None,
    dry_run: DryRunOption = False,
    json: JsonOption = False,
) -> None:
    """Simulate the loss of the source, and recover the cluster.

    The recovery target is a random second of the last day. Measures which commits would be lost (RPO, by test records
    in the WAL; nothing is written into a table) and the time until a query on the copy succeeds (RTO). The exit code
    is 0 only if both targets are met.
    """
    from tabsync.backups.drill.quarterly import plan_quarterly, run_quarterly
    from tabsync.cli.common import listener, load_manual, print_json, show_plan, workspace

    found = workspace(config, database, store)
    plan = plan_quarterly(found, load_manual(found))
    if dry_run:
        show_plan(plan, json=json)
        return
    report = run_quarterly(found, plan, listener(json=json))
    if json:
        print_json(report.data)
    else:
        show_report(report)
    if report.exit_code:
        raise typer.Exit(int(report.exit_code))


def show_report(report: Report) -> None:
    """Print a quarterly drill's verdict and what it stands on."""
    from rich.text import Text

    from tabsync.backups.drill.verdict import against
    from tabsync.cli.common import console
    from tabsync.kernel.units import human_bytes

    out, facts = console(), report.data
    recovered, error = facts["recovered"], facts["error"]
    counted = f" ({facts['canaries_lost']} of {facts['canaries']} test commits lost)"
    lost = "" if facts["canaries_lost"] is None else counted
    point = f"{_local(facts['moment'])} from {facts['backup']}"
    out.print(f"Recovered to {point}" if recovered else f"Not recovered to {point}", markup=False)
    if recovered:
        out.print(f"     {'' if recovered['reached'] else 'NOT CONFIRMED: '}{recovered['why']}", markup=False)
    stopped = report.data["interrupted"]
    out.print(f"RTO  {against(facts['rto_seconds'], facts['rto_target'], interrupted=stopped)}", markup=False)
    out.print(f"RPO  {against(facts['rpo_seconds'], facts['rpo_target'], interrupted=stopped)}{lost}", markup=False)
    if facts["indexes"]:
        size = human_bytes(facts["health"]["bytes"])
        out.print(f"checked {facts['indexes']} indexes, {facts['health']['tables']} tables, {size}", markup=False)
    if facts["table"]:
        out.print(f"restored table {facts['table']}; row {facts['row'] or 'none'}", markup=False)
    for line in facts["not_checked"]:
        out.print(f"not checked: {line}", style="yellow", markup=False)
    style = "bold green" if facts["ok"] else "bold yellow" if facts["partial"] else "bold red"
    out.print(Text(facts["sentence"], style=style))
    if error:
        out.print(Text(f"error: {error['fact']}", style="red"))
        if error["hint"]:
            out.print(f"hint: {error['hint']}", markup=False)
    out.print(f"Report: {report.html_path}", markup=False, style="dim", soft_wrap=True)


def _local(moment: str) -> str:
    from datetime import datetime

    return f"{datetime.fromisoformat(moment).astimezone():%Y-%m-%d %H:%M:%S %Z}"
