"""What holds for every request and every response, whatever the page: who may speak to us, and what a browser may do.

Outermost, so that error pages carry the same headers. https://owasp.org/www-project-secure-headers/
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

BIGGEST_BODY = 16_384
"""Bytes. Our forms have a few short fields."""

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
    " form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)

_HEADERS = {
    "content-security-policy": CSP,
    "x-content-type-options": "nosniff",
    # Not no-referrer: with it, browsers send "Origin: null" with a form, and the check of Origin could not hold.
    # https://fetch.spec.whatwg.org/#append-a-request-origin-header
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "cache-control": "no-store",
}

_log = logging.getLogger("tabsync.console")

ErrorPage = Callable[[int, str, str], Response]


class Guard:
    """ASGI middleware. hosts: what the Host header may say, with the port unless it is the scheme's own."""

    def __init__(self, app: ASGIApp, hosts: Sequence[str], error_page: ErrorPage) -> None:
        self.app = app
        self.hosts = frozenset(host.lower() for host in hosts)
        self.error_page = error_page

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse what must not reach a page, and put the headers on whatever is sent."""
        if scope["type"] != "http":
            return
        started, page = False, as_json if is_for_program(scope["path"]) else self.error_page

        async def send_with_headers(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        refusal = self._refusal(scope, Headers(scope=scope), page)
        try:
            body = b"" if refusal else await _read(receive)
        except ClientDisconnect:
            return  # half a form is no form
        if body is None:
            refusal = page(413, "This form is too large.", "")
        try:
            await (refusal or self.app)(scope, _given(body or b"", receive), send_with_headers)
        except Exception:
            if started:
                raise
            _log.exception("%s %s failed", scope["method"], scope["path"])
            told = page(500, "Something went wrong in the console.", "Read the log of tabsync serve.")
            await told(scope, receive, send_with_headers)

    def _refusal(self, scope: Scope, headers: Headers, page: ErrorPage) -> Response | None:
        chunked, length = "transfer-encoding" in headers, headers.get("content-length")
        if chunked and (length is not None or scope["http_version"] == "1.0"):
            # Two lengths: a proxy in front may believe the other one, and the rest of this body be somebody's request.
            # https://www.rfc-editor.org/rfc/rfc9112#section-6.1
            told = page(400, "The request gives its length twice.", "")
            told.headers["connection"] = "close"
            return told
        host = headers.get("host", "").lower()
        if host not in self.hosts:
            # A name of somebody else's that was pointed at this address: DNS rebinding.
            return page(421, "The console does not serve this host name.", "Use the URL that tabsync serve printed.")
        if length is not None and (not length.isdecimal() or int(length) > BIGGEST_BODY):
            return page(413, "This form is too large.", "")
        if scope["method"] in ("GET", "HEAD"):
            return None
        if is_for_program(scope["path"]) and "origin" not in headers:
            return None  # a program, whose token no browser sends by itself
        origin = urlsplit(headers.get("origin", ""))
        if origin.scheme not in ("http", "https") or origin.netloc.lower() != host:
            return page(403, "This form was not sent from the console.", "Nothing was changed.")
        return None


async def _read(receive: Receive) -> bytes | None:
    """The whole body, counted while it comes; None as soon as it is too large, whatever length was announced.

    Raises ClientDisconnect when its end doesn't come.
    """
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        body += message.get("body", b"")
        if len(body) > BIGGEST_BODY:
            return None
        if not message.get("more_body", False):
            return bytes(body)


def _given(body: bytes, receive: Receive) -> Receive:
    """What gives a body that was read already, and then whatever comes."""
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return waiting.pop() if waiting else await receive()

    return again


def is_for_program(path: str) -> bool:
    """Whether a program asks, and not a browser."""
    return path.startswith("/api/")


def as_json(status: int, fact: str, hint: str, headers: Mapping[str, str] | None = None) -> Response:
    """An error for a program."""
    content = {"version": 1, "error": {"fact": fact, "hint": hint}}
    return JSONResponse(content, status, dict(headers or {}))
