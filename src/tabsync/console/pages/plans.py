"""/plans: a plan is made, shown, and run as it was shown."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from starlette.responses import RedirectResponse, Response

from tabsync.console.access import Admin, AdminPost
from tabsync.console.render import page
from tabsync.console.state import Console, console_of
from tabsync.kernel.errors import BadUsage
from tabsync.kernel.plan import Plan
from tabsync.manual.load import load
from tabsync.workspace import Workspace

router = APIRouter()


@router.post("/plans")
def make(
    session: AdminPost,
    console: Annotated[Console, Depends(console_of)],
    procedure: Annotated[str, Form()],
    backup: Annotated[str, Form()] = "",
) -> Response:
    """Make a plan: it only reads. backup: of which a drill is wanted; "" takes a new one first."""
    digest = console.worker.show(_plan(console.workspace, procedure, backup), session.operator.name)
    return RedirectResponse(f"/plans/{digest}", 303)


@router.get("/plans/{digest}")
def show(digest: str, request: Request, session: Admin, console: Annotated[Console, Depends(console_of)]) -> Response:
    """What would run, step by step."""
    plan = console.worker.shown(digest, session.operator.name)
    return page(request, "plan.html", plan=plan.to_json(), digest=digest)


@router.post("/plans/{digest}/run")
def run(digest: str, session: AdminPost, console: Annotated[Console, Depends(console_of)]) -> Response:
    """Run the plan of that digest, which is the one that was shown; no other can be named."""
    return RedirectResponse(f"/runs/{console.worker.start(digest, session.operator.name)}", 303)


def _plan(workspace: Workspace, procedure: str, backup: str) -> Plan:
    from tabsync.backups.drill import plan_drill
    from tabsync.backups.take import plan_take_full

    if procedure == "drill":
        return plan_drill(workspace, load(workspace.manual_path), backup or None)
    if procedure == "backup take full":
        return plan_take_full(workspace)
    raise BadUsage(f"the console can't start {procedure!r}", "it starts drills and full backups")
