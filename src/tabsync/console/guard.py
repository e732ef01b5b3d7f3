"""What holds for every request and every response, whatever the page: who may speak to us, and what a browser may do.

Outermost, so that error pages carry the same headers. https://owasp.org/www-project-secure-headers/
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
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
        started = False

        async def send_with_headers(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        refusal = self._refusal(scope["method"], Headers(scope=scope))
        try:
            await (refusal or self.app)(scope, receive, send_with_headers)
        except Exception:
            if started:
                raise
            _log.exception("%s %s failed", scope["method"], scope["path"])
            told = self.error_page(500, "Something went wrong in the console.", "The log of tabsync serve says what.")
            await told(scope, receive, send_with_headers)

    def _refusal(self, method: str, headers: Headers) -> Response | None:
        host = headers.get("host", "").lower()
        if host not in self.hosts:
            # A name of somebody else's that was pointed at this address: DNS rebinding.
            return self.error_page(421, "The console is not known under this name.", "Use the URL that it printed.")
        if method in ("GET", "HEAD"):
            return None
        origin = urlsplit(headers.get("origin", ""))
        if origin.scheme not in ("http", "https") or origin.netloc.lower() != host:
            return self.error_page(403, "This form was not sent from the console.", "Nothing was changed.")
        length = headers.get("content-length", "")
        if not length.isdecimal() or int(length) > BIGGEST_BODY:
            return self.error_page(413, "This form is too large, or does not say how large it is.", "")
        return None
