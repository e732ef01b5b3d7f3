"""/: the page at 3 in the morning, with the same facts as `tabsync status`."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from tabsync.console.base.access import Viewer
from tabsync.console.base.render import page
from tabsync.console.base.state import Console, console_of
from tabsync.kernel.step import Facts

router = APIRouter()

WAIT = 2.0
"""Seconds a page waits for the database; one that doesn't answer is reported as such, and looked at again."""


@router.get("/")
def show(request: Request, _: Viewer, console: Annotated[Console, Depends(console_of)]) -> Response:
    """The whole page."""
    return page(request, "status.html", **_context(console), fragment=False)


@router.get("/status")
def refresh(request: Request, _: Viewer, console: Annotated[Console, Depends(console_of)]) -> Response:
    """The part of it that refreshes itself."""
    return page(request, "status_body.html", **_context(console), fragment=True)


def _context(console: Console) -> Facts:
    seen = console.status.see(WAIT)
    return {"seen": seen, "facts": seen.facts}
