"""/gamedays: what was practised, when, and how long it took: a history with its times as pictures."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from tabsync.console.base.access import Viewer
from tabsync.console.base.practised import HIGH, WIDE, conditions_of
from tabsync.console.base.render import page
from tabsync.console.base.state import Console, console_of
from tabsync.ledger.evidence import evidence_since

router = APIRouter()

_KIND = "gameday"  # gamedays/, which stands above the console, writes it
_MOST = 400
_LISTED = 10


@router.get("/gamedays")
def show(request: Request, _: Viewer, console: Annotated[Console, Depends(console_of)]) -> Response:
    """Each condition that was practised, with how long it took to be told of it, to name it, and to recover."""
    found = conditions_of(evidence_since(console.workspace.ledger(), _KIND, limit=_MOST))
    return page(request, "gamedays.html", found=found, listed=_LISTED, wide=WIDE, high=HIGH)
