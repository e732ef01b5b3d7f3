"""/acknowledge: where the link in a message leads. To open it changes nothing: scanners of mails open every link."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Request
from sqlalchemy import insert, or_, update
from starlette.responses import RedirectResponse, Response

from tabsync.console.base.access import LinkHolder
from tabsync.console.base.render import page
from tabsync.console.base.state import Console, console_of
from tabsync.kernel.clock import iso, now
from tabsync.ledger.tables import audit, episode
from tabsync.monitoring.alerts.episode import Episode
from tabsync.monitoring.alerts.keep import one_episode
from tabsync.monitoring.alerts.list import as_json
from tabsync.monitoring.notify.link import Link

router = APIRouter()

_Found = Annotated[Console, Depends(console_of)]


@router.get("/acknowledge/{token}")
def show(token: str, request: Request, holder: LinkHolder, console: _Found) -> Response:
    """The alert, and a button."""
    found = one_episode(console.ledger, holder.episode)
    if found is None:
        raise HTTPException(404, "This alert is not on record any more.")
    return page(
        request,
        "acknowledge.html",
        one=as_json(found, ()),
        contact=holder.contact,
        token=token,
        newer=_is_older(found, holder),
    )


@router.post("/acknowledge/{token}")
def acknowledge(token: str, holder: LinkHolder, console: _Found) -> Response:
    """Write down that this contact takes care of it; the first who says so counts."""
    found = one_episode(console.ledger, holder.episode)
    if found is not None and not _is_older(found, holder):
        free = or_(episode.c.acked_at.is_(None), episode.c.acked_at < iso(found.told_since))
        mine = update(episode).where(episode.c.id == found.id, episode.c.ended_at.is_(None), free)
        with console.ledger.writing() as connection:
            if connection.execute(mine.values(acked_at=iso(now()), acked_by=holder.contact)).rowcount:
                entry = {"actor": holder.contact, "action": "alert ack", "target": found.id, "at": iso(now())}
                connection.execute(insert(audit), [entry | {"detail": {"by": "the link of a message"}}])
    return RedirectResponse(f"/acknowledge/{token}", 303)


def _is_older(found: Episode, holder: Link) -> bool:
    """Whether the link was sent before the alert became critical, and was used or could have been."""
    return found.acked_at is not None and holder.made_at < found.told_since and not found.is_acknowledged
