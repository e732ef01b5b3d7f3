"""/schedule: what is due, what became of it, what waits for a person; the same facts as `tabsync schedule list`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Request
from starlette.responses import RedirectResponse, Response

from tabsync.console.base.access import AdminPost, Viewer
from tabsync.console.base.gates import begin_missing, gates_now
from tabsync.console.base.items import rows_of
from tabsync.console.base.render import page
from tabsync.console.base.state import Console, console_of
from tabsync.kernel.errors import BadUsage
from tabsync.kernel.step import Facts
from tabsync.procedures import find, prepare, request_of
from tabsync.schedule.gate import gate_named
from tabsync.schedule.list import Show, look_show
from tabsync.schedule.look import Look, look
from tabsync.service.run_item import begin_item

router = APIRouter()

_WAIT = 10.0  # seconds for a line to be written down before the page is shown again

_Found = Annotated[Console, Depends(console_of)]


@router.get("/schedule")
def show(request: Request, _: Viewer, console: _Found) -> Response:
    """Every item with its days, and the gates."""
    return page(request, "schedule.html", **_context(console))


@router.get("/schedule/now")
def now(request: Request, _: Viewer, console: _Found) -> Response:
    """The part of it that changes."""
    return page(request, "schedule_body.html", **_context(console))


@router.get("/schedule/items/{name}")
def one(name: str, request: Request, _: Viewer, console: _Found) -> Response:
    """One item: what became of it lately, and what an admin may say of it."""
    seen = look(console.workspace)
    item = seen.item(name)
    row = next(row for row in rows_of(console.workspace, seen, console.days) if row.item.key == item.key)
    shown = look_show(console.workspace, Show(item.name))
    return page(request, "schedule_item.html", row=row, shown=shown, here=seen.here)


@router.post("/schedule/items/{name}/run")
def run(name: str, session: AdminPost, console: _Found) -> Response:
    """Start an item now, in the background."""
    seen = look(console.workspace)
    begin_item(console.workspace, seen.item(name), seen.subject, session.operator.name)
    return RedirectResponse("/schedule", 303)


@router.post("/schedule/items/{name}/skip")
def skip(name: str, session: AdminPost, console: _Found, reason: Annotated[str, Form()] = "") -> Response:
    """Skip the occurrence that is due now, or the next."""
    return _written(console, session.operator.name, "schedule skip", {"item": name, "reason": reason.strip()})


@router.post("/schedule/items/{name}/done")
def done(name: str, session: AdminPost, console: _Found, note: Annotated[str, Form()] = "") -> Response:
    """Tick a task off."""
    return _written(console, session.operator.name, "schedule done", {"item": name, "note": note.strip()})


@router.post("/schedule/items/{name}/approve")
def approve(name: str, session: AdminPost, console: _Found) -> Response:
    """Show what would be approved; it is approved from there."""
    made = _planned(console, session.operator.name, "schedule approve", {"item": name})
    return RedirectResponse(f"/plans/{made}", 303)


@router.post("/schedule/gates")
def gate(session: AdminPost, console: _Found, name: Annotated[str, Form()] = "") -> Response:
    """Start what a gate asks for and isn't there, in the background."""
    seen = look(console.workspace)
    _, items = gate_named(seen, name)
    begin_missing(console.workspace, seen, items, session.operator.name)
    return RedirectResponse("/schedule#gates", 303)


def _written(console: Console, operator: str, words: str, values: dict[str, Any]) -> Response:
    """Plan and run what only writes a line down, and wait for it."""
    digest = _planned(console, operator, words, values)
    console.worker.wait(console.worker.start(digest, operator), _WAIT)
    return RedirectResponse("/schedule", 303)


def _planned(console: Console, operator: str, words: str, values: dict[str, Any]) -> str:
    procedure = find(words)
    if procedure is None:
        raise BadUsage(f"this version has no {words!r}")
    request = request_of(procedure, values, console.workspace)
    made = prepare(procedure, console.workspace, request)
    return console.worker.show(procedure, request, made, operator)


def _context(console: Console) -> Facts:
    seen = look(console.workspace)
    rows = [row for row in rows_of(console.workspace, seen, console.days) if not row.item.is_gate]
    gates = gates_now(console.workspace, seen)
    live = any(row.running for row in rows) or any(one.running for one in gates)
    return {"seen": seen, "rows": rows, "gates": gates, "live": live, "keeping": _keeping(seen)}


def _keeping(seen: Look) -> Mapping[str, Any] | None:
    """Who keeps the schedule, and what it says is wrong; None when nobody ever did."""
    found = seen.keeping
    if found is None:
        return None
    troubles = {name: one for name, one in found.facts.items() if one and name != "stopped"}
    return {
        "name": found.name,
        "heard": found.beat_at.isoformat(),
        "silent": found.is_silent(seen.now) or bool(found.facts.get("stopped")),
        "stopped": bool(found.facts.get("stopped")),
        "troubles": troubles,
    }
