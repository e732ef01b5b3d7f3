"""/login and /logout."""

from __future__ import annotations

import asyncio
import secrets
from functools import partial
from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Depends, Form, Request
from starlette.responses import RedirectResponse, Response

from tabsync.console.base.access import (
    Public,
    ViewerPost,
    check_csrf,
    cookie_name,
    current_session,
    forget_cookie,
    safe_next,
    set_cookie,
)
from tabsync.console.base.device import checked_mark, new_mark
from tabsync.console.base.render import page
from tabsync.console.base.state import Console, console_of
from tabsync.console.base.throttle import Key, keys_of
from tabsync.kernel.step import Facts
from tabsync.kernel.units import human_seconds
from tabsync.ledger.evidence import add_audit
from tabsync.ledger.operators import (
    Operator,
    check_password,
    end_session,
    operators,
    start_session,
    sweep_sessions,
)
from tabsync.ledger.second_factor import takes

router = APIRouter()

_YEAR = 365 * 86_400
_LONGEST_CODE = 64

_NO_MATCH = "Name and password don't match; or the code is missing, wrong or was used."
"""The same for all of it: nobody learns that a password was right."""

_NO_COOKIE = (
    "Your browser did not keep the form's cookie. Allow cookies for this address. Over plain http browsers keep them"
    " only for the machine that they run on: 127.0.0.1 or localhost."
)


@router.get("/login")
def show(request: Request, _: Public, console: Annotated[Console, Depends(console_of)], next: str = "/") -> Response:
    """The form; it has a token of its own, so that nobody can be logged in under another's name unawares."""
    if current_session(request, console) is not None:
        return RedirectResponse(safe_next(next), 303)
    return _form(request, next=next, nobody=not operators(console.ledger))


@router.post("/login")
async def log_in(
    request: Request,
    _: Public,
    console: Annotated[Console, Depends(console_of)],
    name: Annotated[str, Form()] = "",
    password: Annotated[str, Form()] = "",
    code: Annotated[str, Form()] = "",
    csrf: Annotated[str, Form()] = "",
    next: Annotated[str, Form()] = "/",
) -> Response:
    """Begin a new session, whatever session there was before."""
    expected = request.cookies.get(_form_cookie(request), "")
    if not expected:
        return _form(request, next=next, problem=_NO_COOKIE, status=403)
    check_csrf(csrf, expected)
    mark = request.cookies.get(_device_cookie(request), "")
    device = await to_thread.run_sync(checked_mark, console.ledger, name, mark) if mark else ""
    keys = keys_of(name, _address(request), device)
    wait, delay = console.throttle.admit(keys)
    if wait > 0:
        told = f"Too many attempts. Try again in {human_seconds(int(wait) + 1)}."
        answer = _form(request, next=next, name=name, problem=told, status=429)
        answer.headers["Retry-After"] = str(int(wait) + 1)
        return answer
    await asyncio.sleep(delay)  # no thread waits meanwhile: the pages need them
    check = partial(_checked, request, console, name, password, code, next, keys)
    return await to_thread.run_sync(check, limiter=console.hashing)


def _checked(
    request: Request, console: Console, name: str, password: str, code: str, next: str, keys: tuple[Key, ...]
) -> Response:
    operator = check_password(console.ledger, name.strip(), password)
    right = operator is not None and takes(console.ledger, operator.id, code[:_LONGEST_CODE])
    if operator is None or not right:
        facts = {"address": _address(request)} | ({"code": "wrong, used or missing"} if operator else {})
        add_audit(console.ledger, _known(console, name), "login failed", "console", facts)
        return _form(request, next=next, name=name, problem=_NO_MATCH, status=403)
    console.throttle.succeeded(keys)
    return _welcome(request, console, operator, next)


@router.post("/logout")
def log_out(request: Request, session: ViewerPost, console: Annotated[Console, Depends(console_of)]) -> Response:
    """End the session."""
    end_session(console.ledger, session)
    add_audit(console.ledger, session.operator.name, "logout", "console", {})
    answer = RedirectResponse("/login", 303)
    forget_cookie(request, answer, cookie_name(request))
    return answer


def _welcome(request: Request, console: Console, operator: Operator, target: str) -> Response:
    old = current_session(request, console)
    if old is not None:
        end_session(console.ledger, old)
    sweep_sessions(console.ledger)
    token, _ = start_session(console.ledger, operator)
    facts = {"address": _address(request), "role": operator.role}
    add_audit(console.ledger, operator.name, "login", "console", facts)
    answer = RedirectResponse(safe_next(target), 303)
    set_cookie(request, answer, cookie_name(request), token)
    set_cookie(request, answer, _device_cookie(request), new_mark(console.ledger, operator.name), _YEAR)
    forget_cookie(request, answer, _form_cookie(request))
    return answer


def _form(request: Request, *, next: str, status: int = 200, **context: object) -> Response:
    csrf = request.cookies.get(_form_cookie(request)) or secrets.token_urlsafe(32)
    values: Facts = {"name": "", "problem": "", "nobody": False} | context
    answer = page(request, "login.html", status=status, csrf=csrf, next=safe_next(next), **values)
    set_cookie(request, answer, _form_cookie(request), csrf)
    return answer


def _form_cookie(request: Request) -> str:
    return f"{cookie_name(request)}-form"


def _device_cookie(request: Request) -> str:
    return f"{cookie_name(request)}-device"


def _address(request: Request) -> str:
    return request.client.host if request.client else ""


def _known(console: Console, name: str) -> str:
    # What was typed is kept only if it is a name: it may be a password in the wrong field.
    lowered = name.strip().lower()
    return lowered if any(one.name == lowered for one in operators(console.ledger)) else "(unknown name)"
