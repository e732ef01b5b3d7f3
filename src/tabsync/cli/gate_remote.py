"""A gate of a running service, asked through its API by a pipeline that has no ledger."""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from tabsync.kernel.errors import BadUsage, CannotConnect, Exit, NotAllowed, Refused
from tabsync.kernel.page import Page, Part
from tabsync.kernel.plain import in_one_line
from tabsync.schedule.gate import names_gate

if TYPE_CHECKING:
    import httpx

_EVERY = 2.0  # seconds between two looks at what was started
_OTHER = "check that this is the URL of a tabsync console"
_HINTS = {401: "make a new one: tabsync operator token NAME", 403: "use the token of an admin: tabsync operator list"}
_LOCAL = ("127.0.0.1", "localhost", "::1")


def ask(server: str, name: str, *, run: bool) -> Page:
    """The gate as the service at that URL sees it; run: have it do what is missing, and wait.

    Raises BadUsage when there is no token or no such gate, NotAllowed when the token isn't one, CannotConnect when the
    service can't be reached.
    """
    import httpx

    token = os.environ.get("TABSYNC_TOKEN", "")
    try:
        where = urlsplit(server)
        valid = where.scheme in ("http", "https") and bool(where.hostname) and (where.port or 1) > 0
        valid = valid and bool(httpx.URL(server).host)
    except (ValueError, httpx.InvalidURL):
        valid = False
    if not valid:
        raise BadUsage(f"--server {server!r} is not a URL", "write it as https://console.example.org")
    if where.scheme == "http" and where.hostname not in _LOCAL:
        raise Refused("the token would be sent unencrypted", f"use https://{where.netloc}")
    if not token:
        raise BadUsage("TABSYNC_TOKEN is not set", "to make one: tabsync operator token NAME")
    if not token.isascii() or not token.isprintable() or " " in token:
        raise BadUsage("TABSYNC_TOKEN is not a token", "copy it again, without a line end or quotes")
    headers = {"authorization": f"Bearer {token}"}
    with httpx.Client(base_url=server.rstrip("/"), headers=headers, timeout=30) as client:
        found = _asked(client, "POST" if run else "GET", name)
        while run and found.get("running") is True:
            time.sleep(_EVERY)
            found = _asked(client, "GET", name)
    return _page(found)


def _asked(client: httpx.Client, method: str, name: str) -> dict[str, Any]:
    import httpx

    try:
        answer = client.request(method, f"/api/v1/gates/{quote(name, safe='')}")
    except httpx.HTTPError as error:
        raise CannotConnect(f"the service can't be reached: {type(error).__name__}", "check its URL") from None
    content: Any = None
    with contextlib.suppress(ValueError, RecursionError):
        content = answer.json()
    if answer.status_code >= 400:
        told = content.get("error") if isinstance(content, dict) else None
        told = told if isinstance(told, dict) else {}
        fact = _plain(told.get("fact") or f"the service answered {answer.status_code}")
        hint = _plain(told.get("hint") or _HINTS.get(answer.status_code, _OTHER))
        if answer.status_code in (401, 403):
            raise NotAllowed(fact, hint)
        if answer.status_code == 404:
            raise BadUsage(fact, hint)
        raise Refused(fact, hint)
    if not _is_answer(content) or not names_gate(name, content["gate"]):
        raise CannotConnect("the service did not answer with that gate", _OTHER)
    return dict(content)


def _is_answer(content: Any) -> bool:
    """Whether it is what the API says of a gate: whatever else a server says opens none."""
    if not isinstance(content, dict) or not isinstance(content.get("gate"), str):
        return False
    items = content.get("items")
    if not isinstance(content.get("ok"), bool) or not isinstance(items, list):
        return False
    whole = all(isinstance(one, dict) and isinstance(one.get("ok"), bool) and "item" in one for one in items)
    return whole and content["ok"] is all(one["ok"] for one in items)


def _plain(value: Any) -> str:
    """What a server says, in one line and without what a terminal would obey."""
    return in_one_line(str(value))[:300]


def _page(found: dict[str, Any]) -> Page:
    ok = found["ok"]
    page = Page("", found, exit_code=Exit.DONE if ok else Exit.PROBLEM_FOUND)
    page.line((f"{'OPEN' if ok else 'CLOSED'}: before {_plain(found['gate'])}", "strong good" if ok else "strong bad"))
    rows: list[tuple[str, Part]] = [
        (
            _plain(one["item"]),
            (f"● {_plain(one.get('evidence'))}", "good") if one["ok"] else (f"✗ {_plain(one.get('missing'))}", "bad"),
        )
        for one in found["items"]
    ]
    page.table(("Item", "Evidence"), rows, whole=("Item",))
    return page
