"""/sessions: who is connected, what runs, who waits for whom; and how to end it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from tabsync.console.base.access import Viewer
from tabsync.console.base.render import page
from tabsync.console.base.state import Console, console_of
from tabsync.kernel.step import Facts
from tabsync.ledger.operators import Session, may

router = APIRouter()

_WAIT = 3.0  # seconds for the database to answer
_SHOWN = 200  # sessions; the command line has all of them
_ORDER = ("idle in transaction (aborted)", "idle in transaction", "active", "idle")


@router.get("/sessions")
def show(request: Request, session: Viewer, console: Annotated[Console, Depends(console_of)]) -> Response:
    """Sessions, queries and locks, which refresh themselves."""
    return page(request, "sessions.html", **_context(console, session))


@router.get("/sessions/now")
def refresh(request: Request, session: Viewer, console: Annotated[Console, Depends(console_of)]) -> Response:
    """The part of it that changes."""
    return page(request, "sessions_body.html", **_context(console, session))


def _context(console: Console, session: Session) -> Facts:
    seen = console.sessions.see(_WAIT)
    if seen.facts is None:
        return {"seen": seen, "facts": None}
    found = sorted(seen.facts["connections"]["sessions"], key=_rank)
    clients = [one for one in found if one["type"] == "client backend" and one["kind"] != "this one"]
    return {
        "seen": seen,
        "facts": seen.facts,
        "server": seen.facts["connections"]["server"],
        "sessions": clients[:_SHOWN],
        "more": max(0, len(clients) - _SHOWN),
        "queries": seen.facts["queries"]["queries"][:_SHOWN],
        "texts": may(session.operator, "responder"),  # a statement may hold what its application's users wrote
    }


def _rank(one: Facts) -> tuple[int, float]:
    state = one["state"]
    return _ORDER.index(state) if state in _ORDER else len(_ORDER), -(one["state_seconds"] or 0.0)
