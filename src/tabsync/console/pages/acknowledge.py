"""/acknowledge: where the link in a message leads. To open it changes nothing: scanners of mails open every link."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Request
from sqlalchemy import update
from starlette.responses import RedirectResponse, Response

from tabsync.console.base.access import LinkHolder
from tabsync.console.base.render import page
from tabsync.console.base.state import Console, console_of
from tabsync.kernel.clock import iso, now
from tabsync.ledger.evidence import add_audit
from tabsync.ledger.tables import episode
from tabsync.monitoring.alerts.keep import one_episode
from tabsync.monitoring.alerts.list import as_json

router = APIRouter()

_Found = Annotated[Console, Depends(console_of)]


@router.get("/acknowledge/{token}")
def show(token: str, request: Request, holder: LinkHolder, console: _Found) -> Response:
    """The alert, and a button."""
    found = one_episode(console.ledger, holder[0])
    if found is None:
        raise HTTPException(404, "This alert is not on record any more.")
    return page(request, "acknowledge.html", one=as_json(found, ()), contact=holder[1], token=token)


@router.post("/acknowledge/{token}")
def acknowledge(token: str, holder: LinkHolder, console: _Found) -> Response:
    """Write down that this contact takes care of it; the first who says so counts."""
    alert, contact = holder
    free = (episode.c.id == alert, episode.c.ended_at.is_(None), episode.c.acked_at.is_(None))
    with console.ledger.writing() as connection:
        taken = connection.execute(update(episode).where(*free).values(acked_at=iso(now()), acked_by=contact)).rowcount
    if taken:
        add_audit(console.ledger, contact, "alert ack", alert, {"by": "the link of a message"})
    return RedirectResponse(f"/acknowledge/{token}", 303)
