"""/backups: what is in the store and until when, what was proven of it, how far back one can go, and the way back."""

from __future__ import annotations

import json
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from tabsync.backups.hold import holds
from tabsync.backups.list import list_backups
from tabsync.console.base.access import Admin, Viewer
from tabsync.console.base.render import page
from tabsync.console.base.state import Console, console_of
from tabsync.console.base.timeline import timeline
from tabsync.kernel.clock import now, parse_iso
from tabsync.kernel.errors import BadUsage
from tabsync.kernel.step import Facts
from tabsync.ledger.evidence import evidence_since
from tabsync.manual.load import read
from tabsync.manual.model import Manual
from tabsync.postgres.catalog import Relation
from tabsync.stores.manifest import Manifest

router = APIRouter()

_DRILLS = ("drill", "quarterly")
_CHARTED = 200  # drills, the newest
_LISTED = 10
_WAIT = 3.0
"""Seconds that the page waits for the provider, where there is no script to ask for it later."""


@router.get("/backups")
def show(
    request: Request, _: Viewer, console: Annotated[Console, Depends(console_of)], windows: bool = False
) -> Response:
    """All backups, newest first, and those that can't be read. windows: with how far back one can go at once."""
    rows, damaged = list_backups(console.workspace)
    manual = _manual(console)
    found = [one for kind in _DRILLS for one in evidence_since(console.ledger, kind, limit=_CHARTED)]
    drills = sorted(found, key=lambda one: str(one["at"]), reverse=True)[:_CHARTED]
    return page(
        request,
        "backups.html",
        rows=rows[::-1],
        damaged=damaged,
        store=console.workspace.store().url,
        picture=timeline(rows, [one.name for one in manual.retention] if manual else [], now()),
        drills=drills[:_LISTED],
        charts=_charts(drills, manual),
        seen=console.windows.see(_WAIT) if windows else None,
    )


@router.get("/backups/windows")
def windows(request: Request, _: Viewer, console: Annotated[Console, Depends(console_of)]) -> Response:
    """How far back one can go, as a part of the page: it may have to ask the provider."""
    return page(request, "windows.html", seen=console.windows.see(_WAIT))


@router.get("/backups/{backup}")
def one(backup: str, request: Request, _: Viewer, console: Annotated[Console, Depends(console_of)]) -> Response:
    """One backup with its tables and the drills that it went through."""
    store = console.workspace.store()
    manifest = store.manifest(backup)
    found = evidence_since(console.ledger, "drill", manifest.subject, limit=1000)
    drills = [drill for drill in found if drill["facts"].get("backup") == backup]
    held = holds(store).get(backup)
    return page(request, "backup.html", backup=manifest, tables=_tables(manifest), drills=drills, held=held)


@router.get("/backups/{backup}/restore")
def restore(backup: str, request: Request, _: Admin, console: Annotated[Console, Depends(console_of)]) -> Response:
    """What to bring back from it, and where to; what is chosen becomes a plan that is shown first."""
    manifest = console.workspace.store().manifest(backup)
    if manifest.physical:
        told = "a physical backup is restored as a whole cluster, which the console can't do"
        raise BadUsage(told, "use the command line: tabsync restore to-time --help")
    named = [str(Relation(one["schema"], one["name"])) for one in manifest.tables if one["kind"] == "r"]
    return page(request, "restore.html", backup=manifest, tables=sorted(named))


def _tables(manifest: Manifest) -> list[Facts]:
    files = {(file.schema, file.table): file for file in manifest.files if file.table}
    return [table | {"file": files.get((table["schema"], table["name"]))} for table in manifest.tables]


def _manual(console: Console) -> Manual | None:
    try:
        return read(console.workspace.manual_path)[0]
    except BadUsage:
        return None  # the backups are there all the same


def _charts(drills: list[Facts], manual: Manual | None) -> list[Facts]:
    """RTO and RPO of the drills that judged them, against the manual's targets: what the script draws from."""
    targets = manual.targets if manual else None
    charts = []
    for key, title in (("rto", "Recovery time (RTO)"), ("rpo", "Data loss (RPO)")):
        points = [
            (parse_iso(one["at"]).timestamp(), one["facts"][f"{key}_seconds"])
            for one in reversed(drills)
            if one["facts"].get(f"{key}_seconds") is not None and one["facts"].get(f"{key}_target") is not None
        ]
        target = getattr(targets, key).value.total_seconds() if targets else None
        data = {"times": [at for at, _ in points], "values": [seconds for _, seconds in points], "target": target}
        charts.append({"title": title, "points": len(points), "data": json.dumps(data)})
    return charts
