"""Where a login may lead to, and routes that forgot to say who may use them."""

from __future__ import annotations

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from hypothesis import given
from hypothesis import strategies as st

from tabsync.console.app import guard_of
from tabsync.console.base.access import Admin, AdminPost, safe_next


@pytest.mark.parametrize(
    "path", ["//evil.example", "/\\evil.example", "https://evil.example", "", "javascript:1", "/\r\nx"]
)
def test_another_host_is_never_next(path: str) -> None:
    assert safe_next(path) == "/"


@pytest.mark.parametrize("path", ["/", "/runs", "/backups/20261122T181500Z-a1b2", "/manual"])
def test_our_pages_are(path: str) -> None:
    assert safe_next(path) == path


@given(st.text())
def test_next_is_a_path_on_this_host(text: str) -> None:
    target = safe_next(text)
    assert target.startswith("/") and target[1:2] not in ("/", "\\") and "\n" not in target


def test_a_route_that_says_nothing_is_refused() -> None:
    app = FastAPI(openapi_url=None)

    @app.get("/open")
    def open_() -> None: ...

    @app.post("/change")
    def change(_: Admin) -> None: ...  # a session, but no token of a form

    @app.post("/right")
    def right(_: AdminPost) -> None: ...

    found = {route.path: route for route in app.routes if isinstance(route, APIRoute)}
    for path in ("/open", "/change"):
        with pytest.raises(TypeError, match=path):
            guard_of(found[path])
    assert guard_of(found["/right"]) == "admin_post"
