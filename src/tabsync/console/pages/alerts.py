"""/alerts: what fires and what fired, who takes care of it; the same facts as `tabsync alert list`."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Request
from starlette.responses import RedirectResponse, Response

from tabsync.console.base.access import ResponderPost, Viewer
from tabsync.console.base.render import page
from tabsync.console.base.state import Console, console_of
from tabsync.incidents.record import incidents
from tabsync.kernel.clock import now
from tabsync.kernel.errors import BadUsage
from tabsync.kernel.request import Nothing
from tabsync.monitoring.alerts.keep import fired
from tabsync.monitoring.alerts.list import as_json, find_episode, look_list
from tabsync.monitoring.alerts.silences import silences
from tabsync.procedures import find, prepare, request_of

router = APIRouter()

_LATELY = timedelta(days=30)
_SHOWN = 50  # of those that have ended
_WAIT = 10.0  # seconds for a line to be written down before the page is shown again

_Found = Annotated[Console, Depends(console_of)]


@router.get("/alerts")
def show(request: Request, _: Viewer, console: _Found) -> Response:
    """What fires now, what is silenced, and what fired in the last month."""
    told = look_list(console.workspace, Nothing())
    ended = [one for one in fired(console.workspace.ledger(), now() - _LATELY) if not one.is_open]
    past = [as_json(one, ()) for one in ended[:_SHOWN]]
    more = len(ended) - len(past)
    return page(request, "alerts.html", facts=told.data, head=told.headline_block, past=past, more=more)


@router.get("/alerts/{alert}")
def one(alert: str, request: Request, _: Viewer, console: _Found) -> Response:
    """One alert: what it means, what to do, who was told."""
    ledger = console.workspace.ledger()
    episode = find_episode(ledger, alert)
    told = ledger.read("deliveries", episode=episode.id)
    found = as_json(episode, silences(ledger, now()))
    incident = next((each for each in incidents(console.workspace) if episode.id in each.alerts), None)
    return page(request, "alert.html", one=found, told=told, incident=incident)


@router.post("/alerts/{alert}/ack")
def ack(alert: str, session: ResponderPost, console: _Found, note: Annotated[str, Form()] = "") -> Response:
    """Say that somebody takes care of it."""
    return _written(console, session.operator.name, "alert ack", {"alert": alert, "note": note.strip()}, alert)


@router.post("/alerts/{alert}/silence")
def silence(
    alert: str,
    session: ResponderPost,
    console: _Found,
    reason: Annotated[str, Form()] = "",
    lasting: Annotated[str, Form()] = "1h",
) -> Response:
    """Send nothing of its rule for some time."""
    episode = find_episode(console.workspace.ledger(), alert)
    values = {"rule": episode.key.rule, "label": episode.key.label, "reason": reason.strip(), "lasting": lasting}
    return _written(console, session.operator.name, "alert silence", values, alert)


def _written(console: Console, operator: str, words: str, values: dict[str, Any], alert: str) -> Response:
    """Plan and run what only writes a line down, and wait for it."""
    procedure = find(words)
    if procedure is None:
        raise BadUsage(f"this version has no {words!r}")
    request = request_of(procedure, values, console.workspace)
    digest = console.worker.show(procedure, request, prepare(procedure, console.workspace, request), operator)
    console.worker.wait(console.worker.start(digest, operator), _WAIT)
    return RedirectResponse(f"/alerts/{alert}", 303)
