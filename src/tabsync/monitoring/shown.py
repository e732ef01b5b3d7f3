"""tabsync status, health: what they show. They only read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from tabsync.kernel.clock import age
from tabsync.kernel.errors import Exit, TabsyncError
from tabsync.kernel.page import Cell, Page, Style
from tabsync.kernel.plain import in_one_line
from tabsync.kernel.request import Option
from tabsync.kernel.units import human_bytes, human_seconds
from tabsync.manual.load import load

if TYPE_CHECKING:
    from tabsync.kernel.step import Facts
    from tabsync.workspace import Workspace

_STYLES: dict[str, Style] = {
    "critical": "strong bad",
    "warning": "strong warning",
    "unknown": "strong warning",
    "ok": "strong good",
}


@dataclass(frozen=True, slots=True)
class Health:
    """What one may ask of health."""

    nagios: Annotated[bool, Option("One line and the exit code of a Nagios plugin.")] = False


def look_health(workspace: Workspace, request: Health) -> Page:
    """Whether the database answers and the manual's key tables can be read."""
    from tabsync.monitoring.health import check_health

    try:
        facts = check_health(workspace, load(workspace.manual_path))
    except TabsyncError as error:
        if not request.nagios:
            raise
        return _unknown_to_nagios(error)
    page = Page("health", facts)
    if request.nagios:
        return _for_nagios(page, facts)
    page.table(("", "Check", "Time", "Error"), map(_check, facts["checks"]), heading=False)
    for check in facts["checks"]:
        if check["hint"]:
            page.line(f"hint: {check['hint']}")
    verdict: Cell = ("HEALTHY", "strong good") if facts["healthy"] else ("NOT HEALTHY", "strong bad")
    page.line(verdict, f": {facts['place']}")
    if not facts["healthy"]:
        page.exit_code = Exit.PROBLEM_FOUND if facts["checks"][0]["ok"] else Exit.NOT_ALLOWED
    return page


def _for_nagios(page: Page, facts: Facts) -> Page:
    """One line, with the times as performance data. https://nagios-plugins.org/doc/guidelines.html"""
    failed = [one for one in facts["checks"] if not one["ok"]]
    told = f"{failed[0]['name']}: {failed[0]['error']}" if failed else f"{len(facts['checks'])} checks passed"
    times = " ".join(f"'{one['name']}'={one['seconds']:.3f}s" for one in facts["checks"] if one["ok"])
    word = "CRITICAL" if failed else "OK"
    page.line(f"TABSYNC {word} - {in_one_line(told).replace('|', '/')} | {times}".rstrip(" |"), whole=True)
    page.exit_code = Exit.USAGE if failed else Exit.DONE  # 2 is critical there
    return page


def _unknown_to_nagios(error: TabsyncError) -> Page:
    page = Page("health", {"healthy": None, "error": error.fact})
    page.line(f"TABSYNC UNKNOWN - {in_one_line(error.fact).replace('|', '/')}", whole=True)
    page.exit_code = Exit.NOT_ALLOWED  # 3 is unknown there
    return page


def exit_code(facts: Facts) -> Exit:
    """What the page comes to for a machine; unknown has a code of its own, being neither well nor wrong."""
    if not facts["database"]["reachable"]:
        return Exit.NOT_ALLOWED
    levels = {"ok": Exit.DONE, "unknown": Exit.UNKNOWN}
    return levels.get(facts["verdict"]["level"], Exit.PROBLEM_FOUND)


def page_of(facts: Facts) -> Page:
    """The page, the verdict first; a part that has nothing to say is one line or none."""
    page, verdict = Page("", facts), facts["verdict"]
    page.line(verdict["sentence"], style=_STYLES[verdict["level"]])
    since = verdict["since"]
    known = f"since {since[:19].replace('T', ' ')} UTC" if since else "since an unknown time"
    page.line(f"{facts['database']['place']}, {known}, checked at {facts['checked_at'][11:19]} UTC", style="quiet")
    if facts["database"]["error"]:
        page.line(facts["database"]["error"]["fact"], style="bad")
    if facts["alerts"]:
        page.line("")
        page.table(("", "Metric", "Value", "Bound", "What to do"), map(_alert, facts["alerts"]), title="Alerts")
    changes = [f"{one['at'][11:19]} {one['what']}" for one in facts["changes"][:8]]
    _add(page, "Changed in the last two hours", changes)
    blockers = [f"session {one['pid']} blocks {len(one['victims'])}: {one['what']}" for one in facts["blockers"]]
    _add(page, "Blocked by", blockers)
    _add_next(page, facts)
    _add_recovery(page, facts)
    interrupted = [f"{one['procedure']} (tabsync run show {one['id']})" for one in facts["interrupted"]]
    _add(page, "Interrupted runs", interrupted)
    declare = facts.get("to_declare", [])
    _add(page, "Unknown", [one for one in facts["unseen"] if one not in declare])
    _add(page, "To declare", declare)
    _add(page, "Who would be told", facts.get("nobody_told", []))
    _add(page, "When all connections are in use", [facts["way_in"]["told"]] if facts.get("way_in") else [])
    return page


def _check(one: Facts) -> tuple[Cell, ...]:
    mark: Cell = ("ok", "good") if one["ok"] else ("FAILED", "bad")
    return mark, one["name"], human_seconds(one["seconds"]), one["error"]


def _alert(one: Facts) -> tuple[Cell, ...]:
    metric = f"{one['metric']} ({one['label']})" if one["label"] else one["metric"]
    if one.get("since"):
        acked = f", {one['acknowledged_by']} takes care" if one["acknowledged_by"] else ""
        metric += f", since {age(one['since']).removesuffix(' ago')}{acked}"
    return (one["level"], _STYLES[one["level"]]), metric, one["value"], one["bound"], one["action"]


def _add_next(page: Page, facts: Facts) -> None:
    if facts["next"]:
        page.line("")
        page.line("What to do", style="strong")
    for one in facts["next"]:
        page.line(f"  {one['command']}", style="strong", whole=True)
        undo = one["undo"] if one["undo"].startswith(("no undo", "only reads")) else f"undo: {one['undo']}"
        page.line(f"      {one['why']}; {undo}", style="quiet")


def _add_recovery(page: Page, facts: Facts) -> None:
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
    _add(page, "Recovery", lines or ["no backup and no drill on record"])


def _add(page: Page, title: str, lines: list[str]) -> None:
    if lines:
        page.line("")
        page.line(title, style="strong")
    for line in lines:
        page.line(f"  {line}")
