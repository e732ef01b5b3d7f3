"""/audit: who did what."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from tabsync.console.base.access import Viewer
from tabsync.console.base.render import page
from tabsync.console.base.state import Console, console_of
from tabsync.ledger.evidence import recent_audit

router = APIRouter()

_SHOWN = 200


@router.get("/audit")
def show(request: Request, _: Viewer, console: Annotated[Console, Depends(console_of)]) -> Response:
    """The newest entries."""
    return page(request, "audit.html", entries=recent_audit(console.ledger, _SHOWN), limit=_SHOWN)
