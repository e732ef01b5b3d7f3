"""tabsync restore to-time, clusters, drop: what one may ask of them, their plans, what came of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tabsync.kernel.clock import local
from tabsync.kernel.errors import Exit
from tabsync.kernel.page import Cell, Page
from tabsync.kernel.request import Argument, Option
from tabsync.kernel.units import human_seconds

if TYPE_CHECKING:
    from tabsync.kernel.plan import Plan
    from tabsync.kernel.procedure import Done
    from tabsync.kernel.request import Nothing
    from tabsync.kernel.step import Facts
    from tabsync.workspace import Workspace


@dataclass(frozen=True, slots=True)
class ToTime:
    """What one may ask of restore to-time."""

    time: Annotated[
        str | None, Argument("'2026-11-22 14:30:00' or '14:30', local time unless it has an offset; or latest.")
    ] = None
    lsn: Annotated[str | None, Option("An LSN (WAL position) instead of a time.")] = None
    xid: Annotated[int | None, Option("A transaction id instead of a time.")] = None
    before: Annotated[bool, Option("Stop just before the target instead of just after it.")] = False
    into: Annotated[Path | None, Option("A new directory for the cluster, on a disk with enough space.")] = None
    port: Annotated[int | None, Option("TCP port on this machine (default: a free one).")] = None
    name: Annotated[str, Option("Name of the restored cluster on this machine.", ("--as",))] = ""
    pause: Annotated[bool, Option("Pause at the target, read-only, so that you can check it before it is opened.")] = (
        False
    )
    timeline: Annotated[
        int | None, Option("Timeline to recover along (default: the newest that had started by then).", minimum=1)
    ] = None


@dataclass(frozen=True, slots=True)
class Drop:
    """What one may ask of restore drop."""

    name: Annotated[str, Argument("Name of a restored cluster, from: tabsync restore clusters.")]


def plan_to_time(workspace: Workspace, request: ToTime) -> Plan:
    """Plan to recover the whole cluster to a point in time."""
    from tabsync.backups.pitr.target import parse_target
    from tabsync.backups.restore.to_time import plan_to_time as plan

    target = parse_target(request.time, request.lsn, request.xid, before=request.before)
    return plan(
        workspace,
        target,
        into=request.into,
        port=request.port,
        pause=request.pause,
        name=request.name,
        timeline=request.timeline,
    )


def show_to_time(done: Done[Workspace, ToTime]) -> Page:
    """The point that was reached, and how to connect there."""
    from tabsync.backups.pitr.target import parse_target

    asked = done.request
    target = str(parse_target(asked.time, asked.lsn, asked.xid, before=asked.before))
    reached, kept = done.results["recover"], done.results["keep"]
    told = {"run": done.ran.run_id, "target": target, **reached, **kept, **done.results["check"]}
    page = Page("recovered", told, exit_code=Exit.DONE if reached["reached"] else Exit.PROBLEM_FOUND)
    verdict: Cell = ("REACHED", "strong good") if reached["reached"] else ("NOT CONFIRMED", "strong warning")
    page.line((f"{verdict[0]}: ", verdict[1]), f"{target}; {reached['why']}")  # type: ignore[arg-type]
    last = local(reached["last_commit"]) if reached["last_commit"] else "none after the backup"
    page.line(f"last commit  {last}, LSN {reached['lsn']}, timeline {reached['timeline']}")
    page.line(f"replayed     {reached['segments']} WAL files in {human_seconds(reached['seconds'])}")
    page.line(f"directory    {kept['directory']}", whole=True)
    page.line(f'connect      psql "{kept["conninfo"]}"', whole=True)
    if reached["paused"]:
        page.line("Recovery is paused, the cluster is read-only. To open it: select pg_wal_replay_resume()")
    page.line(f"To drop it: tabsync restore drop {kept['name']}")
    return page


def look_clusters(workspace: Workspace, _request: Nothing) -> Page:
    """The restored clusters, and how to connect to them."""
    from tabsync.backups.pitr.clusters import restored

    found = restored(workspace)
    page = Page("restored clusters", {"clusters": found})
    if not found:
        page.line("There is no restored cluster. To restore one: tabsync restore to-time '14:30'")
        return page
    page.table(("Cluster", "State", "As of", "From backup", "Directory"), map(_cluster, found), whole=("Cluster",))
    for one in found:
        if one["running"]:
            page.line(f'connect  psql "{one["conninfo"]}"', whole=True)
    return page


def plan_drop(workspace: Workspace, request: Drop) -> Plan:
    """Plan to stop a restored cluster and delete it."""
    from tabsync.backups.pitr.clusters import plan_drop as plan

    return plan(workspace, request.name)


def show_drop(done: Done[Workspace, Drop]) -> Page:
    """That it is gone."""
    page = Page("cluster dropped", {"run": done.ran.run_id, **done.results["drop"]})
    page.line(f"The restored cluster {done.request.name} was dropped.")
    return page


def _cluster(one: Facts) -> tuple[Cell, ...]:
    state: Cell = ("running", "good") if one["running"] else ("stopped", "warning")
    return one["name"], state, one["target"], one["backup"], one["directory"]
