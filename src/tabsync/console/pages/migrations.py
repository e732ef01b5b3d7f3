"""/migrations: what the histories say, as `tabsync migration status`; and what was deployed and rehearsed lately."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from tabsync.console.base.access import Viewer
from tabsync.console.base.render import page
from tabsync.console.base.state import Console, console_of
from tabsync.kernel.step import Facts
from tabsync.ledger.runs import mark_interrupted, recent_runs

router = APIRouter()

_WAIT = 3.0  # seconds for the database to answer
_SHOWN = 20
_PROCEDURES = ("migration guard", "migration rehearse")


@router.get("/migrations")
def show(request: Request, _: Viewer, console: Annotated[Console, Depends(console_of)]) -> Response:
    """The histories of migrations, and the newest deployments and rehearsals."""
    mark_interrupted(console.ledger)
    seen = console.migrations.see(_WAIT)
    runs = _runs(console)
    return page(
        request,
        "migrations.html",
        seen=seen,
        found=seen.facts["page"] if seen.facts else None,
        folder=console.workspace.migrations,
        runs=runs,
        limit=_SHOWN,
    )


def _runs(console: Console) -> list[Facts]:
    """The newest runs of both procedures, the newest first."""
    found = [one for words in _PROCEDURES for one in recent_runs(console.ledger, _SHOWN, words)]
    return sorted(found, key=lambda one: str(one["started_at"]), reverse=True)[:_SHOWN]
