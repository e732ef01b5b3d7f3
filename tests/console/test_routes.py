"""Every route of the router, against everybody who might knock."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.routing import Mount

from tabsync.console.app import create_app, guard_of
from tabsync.console.base.access import masked
from tabsync.console.base.guard import BIGGEST_BODY, CSP
from tabsync.console.serve import start
from tabsync.kernel.clock import now
from tabsync.ledger.operators import IDLE, one_operator, start_session
from tabsync.ledger.tokens import add_token, remove_tokens
from tabsync.workspace import Workspace
from tests.console.conftest import Workspaces

Table = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Door:
    """A served console. host: what its Host header says."""

    workspace: Workspace
    client: httpx.Client
    host: str
    routes: tuple[Table, ...]

    @property
    def cookie(self) -> str:
        """The name of its cookie."""
        return f"tabsync-{self.host.rpartition(':')[2]}"


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody who sends requests. token: of the session, csrf: what the forms carry; None: what is right."""

    token: str = ""
    csrf: str = ""
    host: str | None = None
    origin: str | None = None


@contextmanager
def served(workspace: Workspace) -> Iterator[Door]:
    running = start(workspace)
    try:
        with httpx.Client(base_url=running.url, trust_env=False) as client:
            yield Door(workspace, client, running.url.split("/")[2], routes(create_app(workspace, hosts=[])))
    finally:
        running.stop()


@pytest.fixture(scope="module")
def door(console_workspaces: Workspaces) -> Iterator[Door]:
    """A console whose database does not exist: who may pass is decided before anybody looks at it."""
    with served(console_workspaces("routes", "host=127.0.0.1 port=1 dbname=nowhere connect_timeout=1")) as door:
        yield door


def routes(app: FastAPI) -> tuple[Table, ...]:
    """(method, path with something filled in, who may use it) of each route, from the router itself."""
    found = []
    for route in app.routes:
        if isinstance(route, APIRoute):
            assert route.methods is not None
            path = re.sub(r"\{[\w:]+\}", "20261122T181500Z-a1b2c3", route.path)
            found += [(method, path, guard_of(route)) for method in sorted(route.methods)]
        else:
            assert isinstance(route, Mount) and route.name == "static", f"{route} is no route that anybody guards"
    return tuple(found)


def visitor(door: Door, name: str, *, idle: timedelta = timedelta(0)) -> Visitor:
    ledger = door.workspace.ledger()
    token, session = start_session(ledger, one_operator(ledger, name), at=now() - idle)
    return Visitor(token, session.csrf_token)


def knock(door: Door, method: str, path: str, who: Visitor) -> httpx.Response:
    host = door.host if who.host is None else who.host
    headers = {"host": host, "cookie": f"{door.cookie}={who.token}" if who.token else ""}
    if method == "GET":
        return door.client.get(path, headers=headers)
    headers["origin"] = f"http://{host}" if who.origin is None else who.origin
    form = {"csrf": who.csrf and masked(who.csrf), "procedure": "alert ack"}
    return door.client.request(method, path, headers=headers, data=form)


def passed(answer: httpx.Response) -> bool:
    """Whether a request got as far as its route: not sent to the login, not forbidden."""
    # The logout leads to the login too, but takes the cookie away.
    to_login = answer.headers.get("location", "").startswith("/login") and "set-cookie" not in answer.headers
    return not to_login and answer.status_code not in (401, 403, 413, 421)


def test_the_router_holds_what_we_think(door: Door) -> None:
    table = {(method, guard) for method, _, guard in door.routes}
    assert table == {
        ("GET", "anybody"),
        ("POST", "anybody"),
        ("GET", "link_holder"),
        ("POST", "link_holder"),
        ("GET", "viewer"),
        ("GET", "responder"),
        ("GET", "admin"),
        ("POST", "viewer_post"),
        ("POST", "responder_post"),
        ("POST", "admin_post"),
        ("GET", "token_viewer"),
        ("GET", "token_admin"),
        ("POST", "token_responder"),
        ("POST", "token_admin"),
    }
    open_to_all = [path for method, path, guard in door.routes if guard == "anybody"]
    assert open_to_all == ["/healthz", "/readyz", "/login", "/login"]
    filled_in = "20261122T181500Z-a1b2c3"
    assert {(method, path) for method, path, guard in door.routes if guard.startswith("admin")} == {
        ("GET", f"/audit/changes/{filled_in}"),
        ("GET", f"/backups/{filled_in}/restore"),
        ("POST", f"/runs/{filled_in}/stop"),
        ("POST", "/schedule/gates"),
        *(("POST", f"/users/{filled_in}/{word}") for word in ("role", "disabled")),
        *(("POST", f"/schedule/items/{filled_in}/{word}") for word in ("run", "skip", "done", "approve")),
    }
    assert {(method, path) for method, path, guard in door.routes if guard.startswith("responder")} == {
        ("GET", "/audit/changes"),
        ("POST", f"/alerts/{filled_in}/ack"),
        ("POST", f"/alerts/{filled_in}/silence"),
        ("GET", f"/procedures/{filled_in}"),
        ("POST", "/incidents"),
        *(("POST", f"/incidents/{filled_in}/{word}") for word in ("note", filled_in, f"check/{filled_in}")),
        ("POST", "/plans"),
        ("GET", f"/plans/{filled_in}"),
        ("POST", f"/plans/{filled_in}/run"),
        ("POST", f"/runbooks/{filled_in}/run"),
        *(("POST", f"/runbook-runs/{filled_in}/{word}") for word in ("answer", "resume", "go-on")),
    }
    assert {(method, path) for method, path, guard in door.routes if guard.startswith("token")} == {
        ("POST", "/api/v1/plans"),
        ("POST", f"/api/v1/plans/{filled_in}/run"),
        ("GET", f"/api/v1/runs/{filled_in}"),
        ("GET", "/api/v1/schedule"),
        ("GET", f"/api/v1/gates/{filled_in}"),
        ("POST", f"/api/v1/gates/{filled_in}"),
        ("POST", "/api/v1/deployments"),
        ("GET", f"/api/v1/deployments/{filled_in}"),
        ("POST", f"/api/v1/deployments/{filled_in}"),
    }
    assert len(door.routes) > 12


def test_every_route_and_everybody(door: Door) -> None:
    wrong = []
    for method, path, guard in door.routes:
        everybody = {
            "nobody": Visitor(),
            "forged": Visitor("x" * 43, "x" * 43),
            "expired": visitor(door, "ana", idle=IDLE + timedelta(seconds=1)),
            "viewer": visitor(door, "vic"),
            "responder": visitor(door, "rob"),
            "admin": visitor(door, "ana"),
        }
        roles = ["viewer", "responder", "admin"]
        may = {"anybody": set(everybody), **{role: set(roles[at:]) for at, role in enumerate(roles)}}.get(
            guard.removesuffix("_post"),
            set(),  # a session's cookie opens nothing to programs: see test_programs_send_a_token
        )
        if path == "/login" and method == "POST":
            may = set()  # without the form's own cookie
        for name, who in everybody.items():
            answer = knock(door, method, path, who)
            if passed(answer) != (name in may):
                wrong.append((method, path, name, answer.status_code))
    assert wrong == []


def test_every_form_needs_its_token_and_the_right_origin(door: Door) -> None:
    ana, other = visitor(door, "ana"), visitor(door, "ana")
    for method, path, guard in door.routes:
        if method == "GET" or guard.startswith("token"):
            continue
        for origin in ("", "null", "http://evil.example", "https://127.0.0.1:8421", f"http://{door.host}.evil.example"):
            who = replace(ana, origin=origin)
            assert knock(door, method, path, who).status_code == 403, (method, path, origin)
        for csrf in ("", "x", other.csrf):  # another session's token is not this one's
            who = replace(ana, csrf=csrf)
            assert knock(door, method, path, who).status_code == 403, (method, path, csrf)


def test_no_route_answers_to_another_name(door: Door) -> None:
    ana = visitor(door, "ana")
    for method, path, _ in door.routes:
        for host in ("evil.example", "127.0.0.1", "127.0.0.1:80", f"{door.host}.evil.example"):
            who = replace(ana, host=host)
            assert knock(door, method, path, who).status_code == 421, (method, path, host)


def test_every_answer_carries_the_headers(door: Door) -> None:
    answers = [knock(door, method, path, visitor(door, "ana")) for method, path, _ in door.routes]
    answers += [door.client.get("/nothing"), door.client.get("/", headers={"host": "evil.example"})]
    for answer in answers:
        assert answer.headers["content-security-policy"] == CSP
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin"
    assert "unsafe-inline" not in CSP


def test_what_does_not_exist_and_what_is_not_allowed(door: Door) -> None:
    client, token = door.client, visitor(door, "ana").token
    headers = {"cookie": f"{door.cookie}={token}", "origin": f"http://{door.host}"}
    for path in ("/docs", "/redoc", "/openapi.json", "/static/../app.py", "/static/%2e%2e/app.py", "/runs/../../etc"):
        assert client.get(path, headers=headers).status_code == 404, path
    assert client.put("/", headers=headers, content=b"").status_code == 405
    assert client.post("/plans", headers=headers, content=b"x" * (BIGGEST_BODY + 1)).status_code == 413
    assert client.get("/backups/..%2f..%2fetc%2fpasswd", headers=headers).status_code == 404


def test_a_bug_is_told_without_a_traceback(
    door: Door, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("the canary is a secret")

    monkeypatch.setattr("tabsync.console.pages.audit.recent_audit", broken)
    answer = knock(door, "GET", "/audit", visitor(door, "ana"))
    assert answer.status_code == 500
    assert "canary" not in answer.text and "Traceback" not in answer.text
    assert "Something went wrong" in answer.text
    assert answer.headers["content-security-policy"] == CSP
    assert "canary" in caplog.text  # it is in the log


def test_no_password_of_the_connection_is_on_any_page(console_workspaces: Workspaces) -> None:
    conninfo = "postgresql://ops:canary-in-a-cage@127.0.0.1:1/shop?connect_timeout=1"
    with served(console_workspaces("secret", conninfo)) as door:
        for method, path, _ in door.routes:
            assert "canary-in-a-cage" not in knock(door, method, path, visitor(door, "ana")).text, path


def test_programs_send_a_token(door: Door) -> None:
    """Who has one passes; a cookie, another scheme, or a page of somebody else's does not."""
    tokens = {name: add_token(door.workspace.ledger(), name, by="test") for name in ("ana", "rob", "vic")}
    session = visitor(door, "ana")
    for method, path, guard in door.routes:
        if not guard.startswith("token"):
            continue

        ask = partial(_ask, door, method, path)
        assert ask(f"Bearer {tokens['ana']}") not in (401, 403)
        seen = 200 if path.endswith("/schedule") else 404  # nothing else of what is filled in is there
        assert ask(f"Bearer {tokens['vic']}") == (seen if guard == "token_viewer" else 403)
        assert (ask(f"Bearer {tokens['rob']}") == 403) == (guard == "token_admin")
        wrong = (
            "",
            "Bearer",
            "Bearer x",
            f"Basic {tokens['ana']}",
            f"Bearer {tokens['ana']}x",
            f"Bearer {session.token}",
        )
        assert {ask(one) for one in wrong} == {401}
        assert ask("", f"{door.cookie}={session.token}") == 401
        if method == "POST":
            assert ask(f"Bearer {tokens['ana']}", origin="http://evil.example") == 403
            headers = {"host": door.host, "authorization": f"Bearer {tokens['ana']}"}
            large = door.client.request(method, path, headers=headers, content=b"x" * (BIGGEST_BODY + 1))
            assert (large.status_code, large.json()["error"]["fact"]) == (413, "This form is too large.")
    remove_tokens(door.workspace.ledger(), "ana", by="test")
    assert door.client.get("/api/v1/runs/x", headers={"authorization": f"Bearer {tokens['ana']}"}).status_code == 401


def _ask(door: Door, method: str, path: str, authorization: str, cookie: str = "", origin: str = "") -> int:
    sent = {"host": door.host, "authorization": authorization, "cookie": cookie, "origin": origin}
    headers = {name: value for name, value in sent.items() if value}
    body = {"procedure": "alert ack"} if path.endswith("/plans") else {}
    return door.client.request(method, path, headers=headers, json=body).status_code
