"""/procedures: everything that can be started here, each with a form made from its declaration."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from tabsync.console.base.access import Responder, Viewer
from tabsync.console.base.allowed import startable
from tabsync.console.base.render import page
from tabsync.console.base.state import Console, console_of
from tabsync.kernel.procedure import Surface
from tabsync.procedures import on

router = APIRouter()


@router.get("/procedures")
def show(request: Request, _: Viewer, console: Annotated[Console, Depends(console_of)]) -> Response:
    """What can be started, in the order of the chapters."""
    return page(request, "procedures.html", procedures=[one for one in on(Surface.CONSOLE) if not one.hidden])


@router.get("/procedures/{words}")
def one(words: str, request: Request, session: Responder, console: Annotated[Console, Depends(console_of)]) -> Response:
    """The form of one procedure. Fields may be given in the query."""
    procedure = startable(words, session.operator, Surface.CONSOLE)
    return page(request, "procedure.html", procedure=procedure, given=dict(request.query_params))
