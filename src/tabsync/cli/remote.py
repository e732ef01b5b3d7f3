"""A running service, asked through its API by a pipeline that has no ledger."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tabsync.kernel.errors import BadUsage, CannotConnect, NotAllowed, Refused
from tabsync.kernel.plain import in_one_line

if TYPE_CHECKING:
    import httpx

OTHER = "check that this is the URL of a tabsync console"
_HINTS = {401: "make a new one: tabsync operator token NAME", 403: "use the token of an admin: tabsync operator list"}
_LOCAL = ("127.0.0.1", "localhost", "::1")


@contextlib.contextmanager
def service(server: str) -> Iterator[httpx.Client]:
    """A client of the service at that URL, with the token in TABSYNC_TOKEN.

    Raises BadUsage when there is no token or no URL, Refused where the token would be sent unencrypted.
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
        yield client


def asked(client: httpx.Client, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
    """What the service answers, as JSON; None where it is none.

    Raises CannotConnect when it can't be reached, NotAllowed when the token isn't one, BadUsage when there is no such
    thing, Refused with its fact and its hint.
    """
    import httpx

    try:
        answer = client.request(method, path, json=body)
    except httpx.HTTPError as error:
        raise CannotConnect(f"the service can't be reached: {type(error).__name__}", "check its URL") from None
    content: Any = None
    with contextlib.suppress(ValueError, RecursionError):
        content = answer.json()
    if answer.status_code >= 400:
        told = content.get("error") if isinstance(content, dict) else None
        told = told if isinstance(told, dict) else {}
        fact = said(told.get("fact") or f"the service answered {answer.status_code}")
        hint = said(told.get("hint") or _HINTS.get(answer.status_code, OTHER))
        if answer.status_code in (401, 403):
            raise NotAllowed(fact, hint)
        if answer.status_code == 404:
            raise BadUsage(fact, hint)
        raise Refused(fact, hint)
    return content


def said(value: Any) -> str:
    """What a server says, in one line and without what a terminal would obey."""
    return in_one_line(str(value))[:300]
