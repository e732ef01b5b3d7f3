"""/api/v1: plans, runs, the schedule and its gates, for programs, in the name of the operator whose token they send.

The same plans as everywhere: made, looked at, and started by the digest of what was shown. Errors are JSON with a fact
and a hint. What a procedure takes: `tabsync procedures --json`.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, HTTPException
from pydantic import BaseModel
from starlette.responses import JSONResponse, Response

from tabsync.console.base.access import TokenAdmin, TokenResponder, TokenViewer
from tabsync.console.base.allowed import check_may_run, startable
from tabsync.console.base.gates import begin_missing, gate_now
from tabsync.console.base.guard import as_json
from tabsync.console.base.state import Console, console_of
from tabsync.kernel.errors import BadUsage, NotAllowed
from tabsync.kernel.procedure import Surface
from tabsync.kernel.step import Facts
from tabsync.ledger.runs import mark_interrupted, one_run
from tabsync.procedures import page_of, prepare, request_of
from tabsync.schedule.gate import gate_named
from tabsync.schedule.list import List, look_list
from tabsync.schedule.look import look

router = APIRouter(prefix="/api/v1")

_CREATED = 201


class Asked(BaseModel, extra="forbid"):
    """What is to be planned. procedure: its words; values: by the names of its request's fields.

    A key that isn't known is refused: a typo would plan something else than was meant.
    """

    procedure: str
    values: dict[str, Any] | None = None


@router.post("/plans")
def plan(
    operator: TokenResponder, console: Annotated[Console, Depends(console_of)], asked: Annotated[Asked, Body()]
) -> JSONResponse:
    """Make a plan. It only reads."""
    found = startable(asked.procedure, operator, Surface.API)
    request = request_of(found, asked.values or {}, console.workspace)
    made = prepare(found, console.workspace, request)
    digest = console.worker.show(found, request, made, operator.name)
    command = console.worker.shown(digest, operator.name).command
    told = {"digest": digest, "command": command, "notes": list(made.notes), "plan": made.plan.to_json()}
    return JSONResponse({"version": 1, "kind": "plan", **told}, _CREATED)


@router.post("/plans/{digest}/run")
def run(
    digest: str,
    operator: TokenResponder,
    console: Annotated[Console, Depends(console_of)],
    confirm: Annotated[str | None, Body(embed=True)] = None,
) -> JSONResponse:
    """Run the plan of that digest. confirm: the words that a destructive plan asks for."""
    shown = console.worker.shown(digest, operator.name)
    check_may_run(shown.plan, operator)
    if shown.procedure.again:
        raise NotAllowed(f"{shown.procedure.words} asks for a password again", "in the console, or on the command line")
    run_id = console.worker.start(digest, operator.name, confirm)
    return JSONResponse({"version": 1, "kind": "run", "run": run_id}, _CREATED)


@router.get("/runs/{run}")
def one(run: str, _: TokenViewer, console: Annotated[Console, Depends(console_of)]) -> JSONResponse:
    """A run with its steps and, when it has ended, what its procedure has to say of it."""
    mark_interrupted(console.ledger)
    found = one_run(console.ledger, run)
    if found is None:
        raise HTTPException(404, f"there is no run {run!r}")
    ended = found["state"] not in ("running",)
    page = page_of(console.workspace, found) if ended else None
    told: Facts = {"run": found, "result": page.to_json() if page else None}
    return JSONResponse({"version": 1, "kind": "run", **told})


@router.get("/schedule")
def schedule(_: TokenViewer, console: Annotated[Console, Depends(console_of)]) -> JSONResponse:
    """Each item: when it is due, what became of it. The same document as of `tabsync schedule list --json`."""
    return JSONResponse(look_list(console.workspace, List()).to_json())


@router.get("/gates/{name:path}")
def gate(name: str, _: TokenViewer, console: Annotated[Console, Depends(console_of)]) -> Response:
    """Whether all is there that a gate asks for, and whether something that it asks for is being done."""
    return _gate(console, name)


@router.post("/gates/{name:path}")
def open_gate(name: str, operator: TokenAdmin, console: Annotated[Console, Depends(console_of)]) -> Response:
    """Start what is missing, in the background."""
    return _gate(console, name, operator.name)


def _gate(console: Console, name: str, starts: str = "") -> Response:
    """A gate as JSON. starts: in whose name what is missing is started first, "" for not at all."""
    seen = look(console.workspace)
    try:
        whole, items = gate_named(seen, name)
    except BadUsage as error:
        return as_json(404, error.fact, error.hint)
    if starts:
        begin_missing(console.workspace, seen, items, starts)
    return JSONResponse(gate_now(console.workspace, look(console.workspace), whole, items).to_json())
