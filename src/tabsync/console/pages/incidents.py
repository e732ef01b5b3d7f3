"""/incidents: what went wrong, as `tabsync incident show`; and one line to write down, at any hour, on a telephone."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Request
from starlette.responses import RedirectResponse, Response

from tabsync.console.base.access import ResponderPost, Viewer
from tabsync.console.base.render import page
from tabsync.console.base.state import Console, console_of
from tabsync.incidents.incident import MOVES
from tabsync.incidents.measured import rows_of, times_of
from tabsync.incidents.record import incident_named, incidents
from tabsync.incidents.report import Report, look_report
from tabsync.incidents.show import Show, lasted, look_show
from tabsync.kernel.errors import BadUsage
from tabsync.kernel.page import Note
from tabsync.procedures import find, prepare, request_of

router = APIRouter()

_SHOWN = 50
_WAIT = 10.0  # seconds for a line to be written down before the page is shown again
_SAYS = {
    "ack": "incident ack",
    "mitigate": "incident mitigate",
    "resolve": "incident resolve",
    "reopen": "incident reopen",
}

_Found = Annotated[Console, Depends(console_of)]


@router.get("/incidents")
def every(request: Request, _: Viewer, console: _Found) -> Response:
    """The newest incidents."""
    found = incidents(console.workspace)
    shown = [one.to_json() | {"lasted": lasted(one)} for one in found[:_SHOWN]]
    return page(request, "incidents.html", found=shown, more=len(found) - len(shown))


@router.get("/incidents/{incident}")
def one(incident: str, request: Request, session: Viewer, console: _Found) -> Response:
    """One incident: what is wrong, who has it, the next step, what it cost, whom to call, all that happened."""
    found = incident_named(console.workspace, incident)
    may_call = session.operator.role in ("responder", "admin") and found.hurts  # addresses are nobody else's business
    shown = look_show(console.workspace, Show(found.id, people=may_call))
    states = {move.value: found.state in allowed for move, (allowed, _) in MOVES.items()}
    cost, unmeasured = rows_of(shown.data["impact"])
    return page(
        request,
        "incident.html",
        one=shown.data,
        people=shown.data.get("people"),
        hint=next((each.text for each in shown.blocks if isinstance(each, Note) and each.word == "hint"), ""),
        may=states,
        is_over=not found.hurts,
        lasted=lasted(found),
        cost=cost,
        unmeasured=unmeasured,
        times=times_of(shown.data["impact"])[1:],
    )


@router.get("/incidents/{incident}/report")
def report(incident: str, _: Viewer, console: _Found) -> Response:
    """Its post-mortem, as a file."""
    found = look_report(console.workspace, Report(incident))
    name = f"incident-{found.data['id']}.md"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(found.data["markdown"], media_type="text/markdown; charset=utf-8", headers=headers)


@router.post("/incidents")
def opens(
    session: ResponderPost, console: _Found, title: Annotated[str, Form()] = "", alert: Annotated[str, Form()] = ""
) -> Response:
    """Open one; for an alert, or let it join the one that is open."""
    return _written(console, session.operator.name, "incident open", {"title": title.strip(), "alert": alert})


@router.post("/incidents/{incident}/note")
def note(incident: str, session: ResponderPost, console: _Found, text: Annotated[str, Form()] = "") -> Response:
    """Write down what somebody saw, did or decided."""
    if not text.strip():
        raise BadUsage("the note is empty", "what you saw, did or decided")
    values = {"incident": incident, "text": text.strip()}
    return _written(console, session.operator.name, "incident note", values, incident)


@router.post("/incidents/{incident}/check/{box}")
def check(
    incident: str,
    box: int,
    session: ResponderPost,
    console: _Found,
    note: Annotated[str, Form()] = "",
    waive: Annotated[str, Form()] = "",
) -> Response:
    """Tick a box off, or leave it out for a reason."""
    values = {"incident": incident, "box": box, "note": note.strip(), "waive": waive.strip()}
    return _written(console, session.operator.name, "incident check", values, incident)


@router.post("/incidents/{incident}/{move}")
def moves(
    incident: str, move: str, session: ResponderPost, console: _Found, note: Annotated[str, Form()] = ""
) -> Response:
    """Take care of it, or say where it stands."""
    if move not in _SAYS:
        raise BadUsage(f"an incident can't {move}", "tabsync incident --help")
    values: dict[str, Any] = {"incident": incident} | ({} if move == "ack" else {"note": note.strip()})
    return _written(console, session.operator.name, _SAYS[move], values, incident)


def _written(console: Console, operator: str, words: str, values: dict[str, Any], incident: str = "") -> Response:
    """Plan and run what only writes a line down, and wait for it."""
    procedure = find(words)
    if procedure is None:
        raise BadUsage(f"this version has no {words!r}")
    request = request_of(procedure, values, console.workspace)
    digest = console.worker.show(procedure, request, prepare(procedure, console.workspace, request), operator)
    console.worker.wait(console.worker.start(digest, operator), _WAIT)
    return RedirectResponse(f"/incidents/{incident or incident_named(console.workspace, '').id}", 303)
