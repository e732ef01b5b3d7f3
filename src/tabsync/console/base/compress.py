"""Pages are compressed, but not those that another site made the browser ask for.

Where a page holds a secret and what somebody else chose, compression gives the secret away by the length (BREACH,
https://breachattack.com). Three things stand against it: the session's cookie is SameSite=Strict, so what another site
asks for has nothing of ours in it; form tokens have a mask that is different in each response; and here, what another
site asks for goes out as it is, so that its length says nothing whatever a later page reflects.
"""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from tabsync.console.base.assets import takes_gzip


class Compressed:
    """ASGI middleware: compresses what a page of ours, or a person in the address line, asks for."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.packing = GZipMiddleware(app, minimum_size=500, compresslevel=6)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Choose. A browser that does not say who asks (sec-fetch-site) is an old one; the first two hold there."""
        headers = Headers(scope=scope)
        elsewhere = headers.get("sec-fetch-site", "none") not in ("none", "same-origin")
        await (self.app if elsewhere or not takes_gzip(headers) else self.packing)(scope, receive, send)
