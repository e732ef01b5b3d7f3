"""Style sheets, scripts and the icon: each under a URL that names its content, so that a browser asks for it once.

What a page refers to changes its URL when it changes, so it may be kept for ever; what is kept under an old URL is
never shown. https://www.rfc-editor.org/rfc/rfc8246
"""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from tabsync.console.base.complete import STATIC

_FOR_EVER = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class Asset:
    """One file. packed: compressed, once and for all."""

    url: str
    kind: str
    plain: bytes
    packed: bytes


def url_of(name: str) -> str:
    """The URL of a file under static/. Raises KeyError when there is none."""
    return _by_name()[name].url


async def serve_asset(scope: Scope, receive: Receive, send: Send) -> None:
    """The ASGI application under /static. Raises HTTPException 404 or 405."""
    found = _by_url().get(scope["path"])
    if found is None:
        raise HTTPException(404)
    if scope["method"] not in ("GET", "HEAD"):
        raise HTTPException(405)
    packed = takes_gzip(Headers(scope=scope)) and len(found.packed) < len(found.plain)
    headers = {"cache-control": _FOR_EVER, "vary": "Accept-Encoding"} | ({"content-encoding": "gzip"} if packed else {})
    answer = Response(found.packed if packed else found.plain, headers=headers, media_type=found.kind)
    await answer(scope, receive, send)


def takes_gzip(headers: Headers) -> bool:
    """Whether whoever asks understands gzip: `gzip;q=0` is a no."""
    for one in headers.get("accept-encoding", "").lower().split(","):
        name, _, weight = one.partition(";")
        if name.strip() in ("gzip", "*"):
            return weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


@cache
def _by_name() -> dict[str, Asset]:
    files = [one for one in sorted(STATIC.rglob("*")) if one.suffix in (".css", ".js", ".svg")]
    return {one.relative_to(STATIC).as_posix(): _asset(one) for one in files}


@cache
def _by_url() -> dict[str, Asset]:
    return {one.url: one for one in _by_name().values()}


def _asset(path: Path) -> Asset:
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()[:16]
    kind = mimetypes.types_map[path.suffix]
    url = f"/static/{digest}/{path.relative_to(STATIC).as_posix()}"
    return Asset(url, kind, content, gzip.compress(content, mtime=0))
