"""/backups: what is in the store, and what was proven of it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from tabsync.backups.list import list_backups
from tabsync.console.access import Viewer
from tabsync.console.render import page
from tabsync.console.state import Console, console_of
from tabsync.kernel.step import Facts
from tabsync.ledger.evidence import evidence_since
from tabsync.stores.manifest import Manifest

router = APIRouter()


@router.get("/backups")
def show(request: Request, _: Viewer, console: Annotated[Console, Depends(console_of)]) -> Response:
    """All backups, newest first, and those that can't be read."""
    rows, damaged = list_backups(console.workspace)
    return page(request, "backups.html", rows=rows[::-1], damaged=damaged, store=console.workspace.store().url)


@router.get("/backups/{backup}")
def one(backup: str, request: Request, _: Viewer, console: Annotated[Console, Depends(console_of)]) -> Response:
    """One backup with its tables and the drills that it went through."""
    manifest = console.workspace.store().manifest(backup)
    found = evidence_since(console.ledger, "drill", manifest.subject, limit=1000)
    drills = [drill for drill in found if drill["facts"].get("backup") == backup]
    return page(request, "backup.html", backup=manifest, tables=_tables(manifest), drills=drills)


def _tables(manifest: Manifest) -> list[Facts]:
    files = {(file.schema, file.table): file for file in manifest.files if file.table}
    return [table | {"file": files.get((table["schema"], table["name"]))} for table in manifest.tables]
