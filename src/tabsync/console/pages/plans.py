"""/plans: a plan is made, shown, and run as it was shown."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

from anyio import to_thread
from fastapi import APIRouter, Depends, Form, Request
from starlette.datastructures import FormData
from starlette.responses import RedirectResponse, Response

from tabsync.console.base.access import Responder, ResponderPost, sent_form
from tabsync.console.base.again import prove_again
from tabsync.console.base.allowed import check_may_run, startable
from tabsync.console.base.render import page
from tabsync.console.base.state import Console, console_of
from tabsync.kernel.procedure import Procedure, Surface
from tabsync.ledger.second_factor import has_factor
from tabsync.procedures import prepare, request_of

router = APIRouter()


@router.post("/plans")
def make(
    session: ResponderPost,
    console: Annotated[Console, Depends(console_of)],
    form: Annotated[FormData, Depends(sent_form)],
) -> Response:
    """Make a plan: it only reads. The form names the procedure, and the fields of its request."""
    procedure = startable(str(form.get("procedure", "")), session.operator, Surface.CONSOLE)
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
    again = shown.procedure.again  # what is done to a user is planned on the page Users
    back = "/users" if again else f"/procedures/{quote(shown.procedure.words)}"
    factor = shown.procedure.again and has_factor(console.ledger, session.operator.id)
    plan = shown.plan.to_json()
    return page(request, "plan.html", plan=plan, shown=shown, digest=digest, back=back, factor=factor)


@router.post("/plans/{digest}/run")
async def run(
    digest: str,
    request: Request,
    session: ResponderPost,
    console: Annotated[Console, Depends(console_of)],
    typed: Annotated[str, Form()] = "",
    password: Annotated[str, Form()] = "",
    code: Annotated[str, Form()] = "",
) -> Response:
    """Run the plan of that digest, which is the one that was shown; no other can be named."""
    shown = console.worker.shown(digest, session.operator.name)
    check_may_run(shown.plan, session.operator)
    if shown.procedure.again:
        await prove_again(request, console, session.operator, password, code)
    return await to_thread.run_sync(_started, console, digest, session.operator.name, typed)


def _started(console: Console, digest: str, operator: str, typed: str) -> Response:
    return RedirectResponse(f"/runs/{console.worker.start(digest, operator, typed)}", 303)


def _values(procedure: Procedure, form: FormData) -> dict[str, object]:
    """The fields of a form that are the request's; of one that takes several values, all of them."""
    given: dict[str, object] = {}
    for one in procedure.fields:
        if one.name in form:
            given[one.name] = form.getlist(one.name) if one.many else str(form[one.name]).strip()
    return given
