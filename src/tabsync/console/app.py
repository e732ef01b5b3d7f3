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

from tabsync.console.base.access import GUARDS, POSTING, NotLoggedIn, login_url
from tabsync.console.base.assets import serve_asset
from tabsync.console.base.complete import check_complete
from tabsync.console.base.compress import Compressed
from tabsync.console.base.guard import Guard, as_json, is_for_program
from tabsync.console.base.render import error_page, page
from tabsync.console.base.state import new_console
from tabsync.console.pages import (
    acknowledge,
    alerts,
    api,
    audit,
    backups,
    changes,
    deployments,
    gamedays,
    incidents,
    login,
    manual,
    metrics,
    migrations,
    plans,
    probes,
    procedures,
    runbooks,
    runs,
    schedule,
    sessions,
    status,
    users,
)
from tabsync.kernel.errors import BadUsage, NotAllowed, ProblemFound, Refused, TabsyncError
from tabsync.workspace import Workspace

_FACTS = {
    404: "There is no such page.",
    405: "This page does not accept this kind of request.",
}

_STATUS: dict[type[TabsyncError], int] = {BadUsage: 404, ProblemFound: 409, Refused: 409, NotAllowed: 403}


def create_app(workspace: Workspace, *, hosts: Sequence[str]) -> FastAPI:
    """The console of a workspace as an ASGI application.

    hosts: what the Host header may say, "127.0.0.1:8420"; anything else is refused. Raises Refused when the ledger
    can't be opened or the front-end files are missing.
    """
    check_complete()
    app = FastAPI(
        title="TabSync",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        middleware=[Middleware(Guard, hosts=hosts, error_page=error_page), Middleware(Compressed)],
    )
    app.state.console = new_console(workspace)
    for chapter in (
        probes,
        acknowledge,
        login,
        status,
        alerts,
        manual,
        metrics,
        incidents,
        gamedays,
        migrations,
        backups,
        schedule,
        procedures,
        plans,
        runbooks,
        runs,
        sessions,
        users,
        audit,
        changes,
        api,
        deployments,
    ):
        # Not include_router: newer FastAPI keeps what it includes to itself, and app.routes must hold every route,
        # since it is what _check_guards and the tests go through.
        app.router.routes.extend(chapter.router.routes)
    app.mount("/static", serve_asset, name="static")
    app.exception_handler(NotLoggedIn)(_not_logged_in)
    app.exception_handler(TabsyncError)(_failed)
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


def _failed(request: Request, error: TabsyncError) -> Response:
    if is_for_program(request.url.path):
        status = 400 if isinstance(error, BadUsage) else _STATUS.get(type(error), 503)
        return as_json(status, error.fact, error.hint)
    return error_page(_STATUS.get(type(error), 503), error.fact, error.hint, request)


def _refused(request: Request, error: HTTPException) -> Response:
    # Starlette's own say "Not Found": ours are said in full.
    own = isinstance(error, FastAPIHTTPException)
    detail = str(error.detail) if own else _FACTS.get(error.status_code, str(error.detail))
    if is_for_program(request.url.path):
        return as_json(error.status_code, detail, "", error.headers)
    answer = error_page(error.status_code, detail, "", request)
    answer.headers.update(error.headers or {})
    return answer


def _incomplete(request: Request, error: RequestValidationError) -> Response:
    if is_for_program(request.url.path):
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        starts = request.url.path.endswith("/run")
        form = '{"confirm": ...}, or nothing' if starts else '{"procedure": ..., "values": {...}}'
        return as_json(422, f"{where}: {first['msg'].lower()}", f"send JSON: {form}")
    return error_page(422, "This form is incomplete.", "", request)
