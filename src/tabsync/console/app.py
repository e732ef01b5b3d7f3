"""Puts the console together: its pages, its guard, its one page for errors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fastapi import FastAPI, Request
from fastapi import HTTPException as FastAPIHTTPException
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.responses import RedirectResponse, Response

from tabsync.console.access import GUARDS, POSTING, NotLoggedIn, login_url
from tabsync.console.assets import STATIC, serve_asset
from tabsync.console.compress import Compressed
from tabsync.console.guard import Guard
from tabsync.console.pages import audit, backups, login, manual, plans, runs, status
from tabsync.console.render import error_page, page
from tabsync.console.state import new_console
from tabsync.kernel.errors import BadUsage, NotAllowed, ProblemFound, Refused, TabsyncError
from tabsync.manual.check import IsBuilt
from tabsync.workspace import Workspace

_FACTS = {
    404: "There is no such page.",
    405: "This page does not accept this kind of request.",
}

_STATUS: dict[type[TabsyncError], int] = {BadUsage: 404, ProblemFound: 409, Refused: 409, NotAllowed: 403}


def assume_built(words: Sequence[str]) -> bool:
    """For whoever embeds the console and has no command line to ask."""
    return True


def create_app(workspace: Workspace, *, hosts: Sequence[str], is_built: IsBuilt = assume_built) -> FastAPI:
    """The console of a workspace as an ASGI application.

    hosts: what the Host header may say, "127.0.0.1:8420"; anything else is refused. is_built: whether this version has
    a command of the manual; the command line knows. Raises Refused when the ledger
    can't be opened or the front-end files were never fetched.
    """
    if not (STATIC / "vendor" / "htmx.min.js").exists():
        raise Refused("the console's front-end files are missing", "to fetch them: make setup")
    app = FastAPI(
        title="TabSync",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        middleware=[Middleware(Guard, hosts=hosts, error_page=error_page), Middleware(Compressed)],
    )
    app.state.console = new_console(workspace, is_built)
    for chapter in (login, status, manual, backups, plans, runs, audit):
        # Not include_router: newer FastAPI keeps what it includes to itself, and app.routes must hold every route,
        # since it is what _check_guards and the tests go through.
        app.router.routes.extend(chapter.router.routes)
    app.mount("/static", serve_asset, name="static")
    app.exception_handler(NotLoggedIn)(_not_logged_in)
    app.exception_handler(TabsyncError)(_told)
    app.exception_handler(HTTPException)(_refused)
    app.exception_handler(RequestValidationError)(_incomplete)
    _check_guards(app)
    return app


def guard_of(route: APIRoute) -> str:
    """Who may use a route: the name of its dependency in console/access.py, the strictest one.

    Raises TypeError when there is none, or a route that isn't GET doesn't check the form's token.
    """
    found = [call for call in _calls(route.dependant) if call in GUARDS]
    if not found or (route.methods != {"GET"} and not POSTING.intersection(found)):
        raise TypeError(f"{route.methods} {route.path} does not say who may use it")
    return str(getattr(found[0], "__name__", ""))


def _check_guards(app: FastAPI) -> None:
    for route in app.routes:
        if isinstance(route, APIRoute):
            guard_of(route)


def _calls(dependant: Dependant) -> Iterator[object]:
    for inner in dependant.dependencies:
        yield inner.call
        yield from _calls(inner)


def _not_logged_in(request: Request, _error: NotLoggedIn) -> Response:
    if "hx-request" in request.headers:
        return Response(status_code=401, headers={"HX-Redirect": login_url(request)})
    if request.headers.get("sec-fetch-site") == "cross-site" and request.method == "GET":
        # A link in a chat or a ticket: the browser held the SameSite=Strict cookie back. Asked for by a page of ours,
        # the same address gets it.
        return page(request, "again.html")
    return RedirectResponse(login_url(request), 303)


def _told(request: Request, error: TabsyncError) -> Response:
    return error_page(_STATUS.get(type(error), 503), error.fact, error.hint, request)


def _refused(request: Request, error: HTTPException) -> Response:
    # Starlette's own say "Not Found": ours are said in full.
    detail = _FACTS.get(error.status_code) if not isinstance(error, FastAPIHTTPException) else None
    return error_page(error.status_code, detail or str(error.detail), "", request)


def _incomplete(request: Request, _error: RequestValidationError) -> Response:
    return error_page(422, "This form is incomplete.", "", request)
