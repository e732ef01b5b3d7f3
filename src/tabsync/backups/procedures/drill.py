"""tabsync drill, drill monthly, drill quarterly: what one may ask of them, their plans and reports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from tabsync.kernel.clock import local
from tabsync.kernel.page import Cell, Page
from tabsync.kernel.procedure import Planned
from tabsync.kernel.request import Option
from tabsync.kernel.units import human_bytes

if TYPE_CHECKING:
    from tabsync.backups.drill.report import Report
    from tabsync.kernel.plan import Plan
    from tabsync.kernel.procedure import Done
    from tabsync.kernel.request import Nothing
    from tabsync.kernel.step import Facts
    from tabsync.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Drill:
    """What one may ask of drill."""

    backup: Annotated[str | None, Option("A backup's id, or latest; without it a new backup is taken first.")] = None
    keep_warm: Annotated[
        bool,
        Option("Keep the proven copy, stopped: for backup query, restore rows; the data loss is shown, not judged."),
    ] = False


@dataclass(frozen=True, slots=True)
class Monthly:
    """What one may ask of drill monthly."""

    staging: Annotated[
        str | None,
        Option("Restore into a new database of this server, not into a scratch server.", secret=True, of="host"),
    ] = None
    drop: Annotated[bool, Option("With --staging: drop that database at the end.")] = False


def plan_drill(workspace: Workspace, request: Drill) -> Plan:
    """Plan a drill of one backup, or of a new one."""
    from tabsync.backups.drill.drill import plan_drill as plan
    from tabsync.kernel.errors import CannotConnect
    from tabsync.manual.load import load

    try:
        return plan(workspace, load(workspace.manual_path), request.backup or None, keep_warm=request.keep_warm)
    except CannotConnect as error:
        stored = "to drill a stored backup without the server: tabsync drill --backup latest"
        raise CannotConnect(error.fact, error.hint if request.backup else f"{error.hint}; {stored}") from None


def after_drill(done: Done[Workspace, Any]) -> Report:
    """Write the report of a drill into a database."""
    from tabsync.backups.drill.report import report_of

    return report_of(done.workspace, done.planned.plan, done.ran)


def show_drill(done: Done[Workspace, Any]) -> Page:
    """A drill's verdict and what it stands on."""
    return page_of_drill(done.after or _stored(done))


def page_of_drill(report: Report) -> Page:
    """The report of a drill into a database."""
    from tabsync.backups.drill.verdict import against

    data, verdict = report.data, report.data["verdict"]
    page = _report_page(report)
    page.line("")
    if data["tables"]:
        columns = ("Table", "Rows", "Stored", "SHA-256", "Copy")
        page.table(columns, map(_table, data["tables"]), right=("Rows", "Stored"))
    page.line(f"Backup {data['backup']} in {data['store']}")
    stopped = data["interrupted"]
    page.line(f"RTO  {against(verdict['rto_seconds'], verdict['rto_target'], interrupted=stopped)}")
    wal = "" if verdict["wal_bytes"] is None else f" ({human_bytes(verdict['wal_bytes'])} of WAL)"
    page.line(f"RPO  {against(verdict['rpo_seconds'], verdict['rpo_target'], interrupted=stopped)}{wal}")
    for word, key in (("not proven", "unproven"), ("not checked", "not_checked")):
        for line in verdict[key]:
            page.line(f"{word}: {line}", style="warning")
    for line in verdict["notes"]:
        page.line(f"note: {line}")
    _end(page, report, verdict["sentence"], ok=verdict["ok"], partial=verdict["content"] == "partial")
    return page


def plan_monthly(workspace: Workspace, request: Monthly) -> Planned[Workspace]:
    """Plan the monthly drill; databases that dead ones left on staging are dropped first."""
    from tabsync.backups.drill.monthly import plan_monthly as plan
    from tabsync.backups.restore.staging import sweep_staging
    from tabsync.kernel.errors import BadUsage
    from tabsync.manual.load import load

    if request.drop and not request.staging:
        raise BadUsage("--drop needs --staging: a scratch server is always deleted", "tabsync drill monthly")
    died = "an earlier monthly drill died: its database {} on staging was dropped"
    swept = [died.format(left) for left in sweep_staging(workspace, request.staging)]
    made = plan(workspace, load(workspace.manual_path), request.staging, drop=request.drop)
    return Planned(made.plan, (*swept, *made.notes), workspace=made.workspace)


def show_monthly(done: Done[Workspace, Monthly]) -> Page:
    """The verdict, and what was kept on staging."""
    report: Report = done.after or _stored(done)
    page, left = page_of_drill(report), report.data["database_left"]
    if left:
        page.note(f"database {left} was kept on staging for inspection; drop it afterwards")
    return page


def plan_quarterly(workspace: Workspace, _request: Nothing) -> Plan:
    """Plan the quarterly drill."""
    from tabsync.backups.drill.quarterly import plan_quarterly as plan
    from tabsync.manual.load import load

    return plan(workspace, load(workspace.manual_path))


def after_quarterly(done: Done[Workspace, Nothing]) -> Report:
    """Write the report of a quarterly drill."""
    from tabsync.backups.drill.quarterly import report_of

    return report_of(done.workspace, done.planned.plan, done.ran)


def show_quarterly(done: Done[Workspace, Nothing]) -> Page:
    """A quarterly drill's verdict and what it stands on."""
    from tabsync.backups.drill.verdict import against

    report: Report = done.after or _stored(done)
    page, facts = _report_page(report), report.data
    recovered, stopped = facts["recovered"], facts["interrupted"]
    counted = f" ({facts['canaries_lost']} of {facts['canaries']} test commits lost)"
    lost = "" if facts["canaries_lost"] is None else counted
    point = f"{local(facts['moment'])} from {facts['backup']}"
    page.line(f"Recovered to {point}" if recovered else f"Not recovered to {point}")
    if recovered:
        page.line(f"     {'' if recovered['reached'] else 'NOT CONFIRMED: '}{recovered['why']}")
    page.line(f"RTO  {against(facts['rto_seconds'], facts['rto_target'], interrupted=stopped)}")
    page.line(f"RPO  {against(facts['rpo_seconds'], facts['rpo_target'], interrupted=stopped)}{lost}")
    if facts["indexes"]:
        size = human_bytes(facts["health"]["bytes"])
        page.line(f"checked {facts['indexes']} indexes, {facts['health']['tables']} tables, {size}")
    if facts["table"]:
        page.line(f"restored table {facts['table']}; row {facts['row'] or 'none'}")
    for line in facts["not_checked"]:
        page.line(f"not checked: {line}", style="warning")
    _end(page, report, facts["sentence"], ok=facts["ok"], partial=facts["partial"])
    return page


def _stored(done: Done[Workspace, Any]) -> Report:
    from tabsync.backups.drill.report import stored_report

    return stored_report(done.workspace, done.ran.run_id)


def _report_page(report: Report) -> Page:
    return Page("", report.data, exit_code=report.exit_code)


def _end(page: Page, report: Report, sentence: str, *, ok: bool, partial: bool) -> None:
    page.line(sentence, style="strong good" if ok else "strong warning" if partial else "strong bad")
    error = report.data["error"]
    if error:
        page.line(f"error: {error['fact']}", style="bad")
        if error["hint"]:
            page.line(f"hint: {error['hint']}")
    page.line(f"Report: {report.html_path}", style="quiet", whole=True)


def _table(one: Facts) -> tuple[Cell, ...]:
    from tabsync.postgres.catalog import Relation

    copy: Cell = ("identical", "good") if one["identical"] else ("not proven", "bad")
    rows = "unknown" if one["rows"] is None else f"{one['rows']:,}"
    return str(Relation(one["schema"], one["name"])), rows, human_bytes(one["bytes"]), one["digest"][:16], copy
