"""/plans: a plan is made, shown, and run as it was shown."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Depends, Form, Request
from starlette.datastructures import FormData
from starlette.responses import RedirectResponse, Response

from tabsync.console.base.access import Responder, ResponderPost, sent_form
from tabsync.console.base.allowed import check_may_run, startable
from tabsync.console.base.render import page
from tabsync.console.base.state import Console, console_of
from tabsync.kernel.procedure import Procedure, Surface
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
    check_may_run(shown.plan, session.operator)
    return RedirectResponse(f"/runs/{console.worker.start(digest, session.operator.name, typed)}", 303)


def _values(procedure: Procedure, form: FormData) -> dict[str, object]:
    """The fields of a form that are the request's; of one that takes several values, all of them."""
    given: dict[str, object] = {}
    for one in procedure.fields:
        if one.name in form:
            given[one.name] = form.getlist(one.name) if one.many else str(form[one.name]).strip()
    return given
