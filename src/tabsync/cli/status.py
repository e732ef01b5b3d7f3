"""tabsync status."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from tabsync.cli.common import ConfigOption, DatabaseOption, JsonOption

if TYPE_CHECKING:
    from rich.console import Console

    from tabsync.kernel.step import Facts

_STYLE = {"critical": "bold red", "warning": "bold yellow", "unknown": "bold yellow", "ok": "bold green"}


def status(config: ConfigOption = None, database: DatabaseOption = None, json: JsonOption = False) -> None:
    """Show whether something is wrong: alerts, recent changes, blocked sessions, what to do, and recovery.

    Exit code 0: nothing is wrong. 1: something is wrong. 3: no connection. 6: nothing is known to be wrong, but
    something is unknown.

    Example: tabsync status --json
    """
    from tabsync.cli.common import console, load_manual, print_json, workspace
    from tabsync.monitoring.status import look

    found = workspace(config, database)
    facts = look(found, load_manual(found))
    if json:
        print_json(facts)
    else:
        show(console(), facts)
    if code := exit_code(facts):
        raise typer.Exit(code)


def exit_code(facts: Facts) -> int:
    """What the page comes to for a machine; unknown has a code of its own, being neither well nor wrong."""
    from tabsync.kernel.errors import Exit

    if not facts["database"]["reachable"]:
        return int(Exit.NOT_ALLOWED)
    levels = {"ok": Exit.DONE, "unknown": Exit.UNKNOWN}
    return int(levels.get(facts["verdict"]["level"], Exit.PROBLEM_FOUND))


def show(out: Console, facts: Facts) -> None:
    """Print the page, the verdict first; a part that has nothing to say is one line or none."""
    from rich.text import Text

    out.print(Text(facts["verdict"]["sentence"], style=_STYLE[facts["verdict"]["level"]]))
    since = facts["verdict"]["since"]
    known = f"since {since[:19].replace('T', ' ')} UTC" if since else "since an unknown time"
    out.print(Text(f"{facts['database']['place']}, {known}, checked at {facts['checked_at'][11:19]} UTC", style="dim"))
    if facts["database"]["error"]:
        out.print(Text(facts["database"]["error"]["fact"], style="red"))
    _alerts(out, facts)
    _lines(out, "Changed in the last two hours", [f"{one['at'][11:19]} {one['what']}" for one in facts["changes"][:8]])
    blockers = [f"session {one['pid']} blocks {len(one['victims'])}: {one['what']}" for one in facts["blockers"]]
    _lines(out, "Blocked by", blockers)
    _next(out, facts)
    _way_back(out, facts)
    interrupted = [f"{one['procedure']} (tabsync run show {one['id']})" for one in facts["interrupted"]]
    _lines(out, "Interrupted runs", interrupted)
    _lines(out, "Unknown", facts["unseen"])


def _alerts(out: Console, facts: Facts) -> None:
    from rich.table import Table
    from rich.text import Text

    if not facts["alerts"]:
        return
    table = Table(box=None, padding=(0, 2, 0, 0), title="Alerts", title_justify="left", title_style="bold")
    for name in ("", "Metric", "Value", "Bound", "What to do"):
        table.add_column(name)
    for one in facts["alerts"]:
        metric = f"{one['metric']} ({one['label']})" if one["label"] else one["metric"]
        level = Text(one["level"], style=_STYLE[one["level"]])
        table.add_row(level, Text(metric), Text(one["value"]), Text(one["bound"]), Text(one["action"]))
    out.print()
    out.print(table)


def _next(out: Console, facts: Facts) -> None:
    from rich.text import Text

    if facts["next"]:
        out.print("\nWhat to do", style="bold")
    for one in facts["next"]:
        out.print(Text(f"  {one['command']}", style="bold cyan"))
        undo = one["undo"] if one["undo"].startswith(("no undo", "only reads")) else f"undo: {one['undo']}"
        out.print(Text(f"      {one['why']}; {undo}", style="dim"))


def _way_back(out: Console, facts: Facts) -> None:
    from tabsync.kernel.units import human_bytes, human_seconds
    from tabsync.monitoring.status import age

    backup, drill = facts["backup"], facts["drill"]
    lines = []
    if backup:
        what = f"{backup['backup']}, {backup['kind']}" if "kind" in backup else backup["backup"]
        lines.append(f"last backup  {what}, {age(backup['at'])}, {human_bytes(backup['bytes'])}")
    if drill:
        rto = "not reached" if drill["rto_seconds"] is None else f"restored in {human_seconds(drill['rto_seconds'])}"
        lines.append(f"last drill   {drill['content']}, {rto}, {age(drill['at'])}")
    if received := facts["wal"]:
        until = received["until"]
        lines.append(
            f"WAL until    {until[:19].replace('T', ' ')} UTC, {age(until)}" if until else "WAL until    unknown"
        )
    _lines(out, "Recovery", lines or ["no backup and no drill on record"])


def _lines(out: Console, title: str, lines: list[str]) -> None:
    from rich.text import Text

    if lines:
        out.print(f"\n{title}", style="bold")
    for line in lines:
        out.print(Text(f"  {line}"))
