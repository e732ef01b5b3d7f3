"""A gate of a running service, asked through its API by a pipeline that has no ledger."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from tabsync.kernel.errors import BadUsage, CannotConnect, Exit, NotAllowed, Refused
from tabsync.kernel.page import Page, Part

if TYPE_CHECKING:
    import httpx

_EVERY = 2.0  # seconds between two looks at what was started
_LOCAL = ("127.0.0.1", "localhost", "::1")


def ask(server: str, name: str, *, run: bool) -> Page:
    """The gate as the service at that URL sees it; run: have it do what is missing, and wait.

    Raises BadUsage when there is no token or no such gate, NotAllowed when the token isn't one, CannotConnect when the
    service can't be reached.
    """
    import httpx

    token = os.environ.get("TABSYNC_TOKEN", "")
    where = urlsplit(server)
    if where.scheme not in ("http", "https") or not where.hostname:
        raise BadUsage(f"--server {server!r} is not a URL", "write it as https://console.example.org")
    if where.scheme == "http" and where.hostname not in _LOCAL:
        raise Refused("the token would be sent unencrypted", f"use https://{where.netloc}")
    if not token:
        raise BadUsage("TABSYNC_TOKEN is not set", "to make one: tabsync operator token NAME")
    headers = {"authorization": f"Bearer {token}"}
    with httpx.Client(base_url=server.rstrip("/"), headers=headers, timeout=30) as client:
        found = _asked(client, "POST" if run else "GET", name)
        while run and found.get("running"):
            time.sleep(_EVERY)
            found = _asked(client, "GET", name)
    return _page(found)


def _asked(client: httpx.Client, method: str, name: str) -> dict[str, Any]:
    import httpx

    try:
        answer = client.request(method, f"/api/v1/gates/{quote(name, safe='')}")
    except httpx.HTTPError as error:
        raise CannotConnect(f"the service can't be reached: {type(error).__name__}", "check its URL") from None
    try:
        content = answer.json()
    except ValueError:
        content = {}
    if answer.status_code >= 400 or "gate" not in content:
        told = content.get("error", {}) if isinstance(content, dict) else {}
        fact = str(told.get("fact") or f"the service answered {answer.status_code}")
        hint = str(told.get("hint") or "check that this is the URL of a tabsync console")
        if answer.status_code in (401, 403):
            raise NotAllowed(fact, hint)
        if answer.status_code == 404:
            raise BadUsage(fact, hint)
        raise Refused(fact, hint)
    return dict(content)


def _page(found: dict[str, Any]) -> Page:
    ok = bool(found["ok"])
    page = Page("", found, exit_code=Exit.DONE if ok else Exit.PROBLEM_FOUND)
    page.line((f"{'OPEN' if ok else 'CLOSED'}: before {found['gate']}", "strong good" if ok else "strong bad"))
    rows: list[tuple[str, Part]] = [
        (str(one["item"]), (f"● {one['evidence']}", "good") if one["ok"] else (f"✗ {one['missing']}", "bad"))
        for one in found["items"]
    ]
    page.table(("Item", "Evidence"), rows, whole=("Item",))
    return page
