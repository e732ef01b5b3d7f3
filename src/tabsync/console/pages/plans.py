"""/plans: a plan is made, shown, and run as it was shown."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Depends, Form, Request
from starlette.datastructures import FormData
from starlette.responses import RedirectResponse, Response

from tabsync.console.base.access import Responder, ResponderPost, sent_form
from tabsync.console.base.render import page
from tabsync.console.base.state import Console, console_of
from tabsync.kernel.errors import BadUsage, NotAllowed
from tabsync.kernel.procedure import Procedure, Surface
from tabsync.kernel.step import Risk
from tabsync.ledger.operators import Operator, may
from tabsync.procedures import find, on, prepare, request_of

router = APIRouter()


@router.post("/plans")
def make(
    session: ResponderPost,
    console: Annotated[Console, Depends(console_of)],
    form: Annotated[FormData, Depends(sent_form)],
) -> Response:
    """Make a plan: it only reads. The form names the procedure, and the fields of its request."""
    procedure = startable(str(form.get("procedure", "")), session.operator)
    request = request_of(procedure, _values(procedure, form), console.workspace)
    made = prepare(procedure, console.workspace, request)
    digest = console.worker.show(procedure, request, made, session.operator.name)
    return RedirectResponse(f"/plans/{digest}", 303)


@router.get("/plans/{digest}")
def show(
    digest: str, request: Request, session: Responder, console: Annotated[Console, Depends(console_of)]
) -> Response:
    """What would run, step by step."""
    shown = console.worker.shown(digest, session.operator.name)
    back = f"/procedures/{quote(shown.procedure.words)}"
    return page(request, "plan.html", plan=shown.plan.to_json(), shown=shown, digest=digest, back=back)


@router.post("/plans/{digest}/run")
def run(
    digest: str,
    session: ResponderPost,
    console: Annotated[Console, Depends(console_of)],
    typed: Annotated[str, Form()] = "",
) -> Response:
    """Run the plan of that digest, which is the one that was shown; no other can be named."""
    shown = console.worker.shown(digest, session.operator.name)
    if shown.plan.risk is Risk.DESTRUCTIVE and not may(session.operator, "admin"):
        raise NotAllowed("this plan destroys something: only an admin may have it done", "ask an admin")
    return RedirectResponse(f"/runs/{console.worker.start(digest, session.operator.name, typed)}", 303)


def startable(words: str, operator: Operator) -> Procedure:
    """A procedure that the console can start for an operator. Raises BadUsage for any other, NotAllowed."""
    found = find(words)
    if found is None or not found.plan or Surface.CONSOLE not in found.surfaces:
        names = ", ".join(one.words for one in on(Surface.CONSOLE))
        raise BadUsage(f"the console can't start {words!r}", f"it can start: {names}")
    if not may(operator, found.operator):
        raise NotAllowed(
            f"{operator.name} is a {operator.role}; {words} needs a role of {found.operator}", "ask an admin"
        )
    return found


def _values(procedure: Procedure, form: FormData) -> dict[str, object]:
    """The fields of a form that are the request's; of one that takes several values, all of them."""
    given: dict[str, object] = {}
    for one in procedure.fields:
        if one.name in form:
            given[one.name] = form.getlist(one.name) if one.many else str(form[one.name]).strip()
    return given
