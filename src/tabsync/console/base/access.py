"""Who may use a route. Each route has one of these in its signature; create_app refuses one that has none.

`Public`: anybody. `LinkHolder`: whoever has the link of a message. `Viewer`, `Responder`, `Admin`: a session of that
role or a higher one. `ViewerPost`, `ResponderPost`, `AdminPost`: besides, the form carries the session's CSRF token. A
route that isn't GET takes one of the last three, or is the login itself, or the link's own form.
"""

from __future__ import annotations

import hmac
import secrets
from base64 import b64decode, urlsafe_b64encode
from typing import Annotated
from urllib.parse import quote, urlsplit

from fastapi import Depends, Form, HTTPException, Request
from starlette.datastructures import FormData
from starlette.responses import Response

from tabsync.console.base.connections import origin_of
from tabsync.console.base.state import Console, console_of
from tabsync.console.base.throttle import FREE_ADDRESS, Key
from tabsync.kernel.clock import now
from tabsync.ledger.operators import Operator, Session, find_session, may
from tabsync.ledger.tokens import operator_of
from tabsync.monitoring.notify.link import Link, TooOld, known_key, read_token
from tabsync.system.listen import is_loopback


class NotLoggedIn(Exception):
    """There is no session, or it is over."""


def cookie_name(request: Request) -> str:
    """The session's cookie. It carries the port in its name, since cookies don't know ports.

    Two consoles on one machine would log each other out otherwise. The prefix makes browsers insist on Secure, Path=/
    and no Domain. https://developer.mozilla.org/docs/Web/HTTP/Reference/Headers/Set-Cookie
    """
    _, _, port = request.headers["host"].rpartition(":")
    name = "__Host-tabsync" if is_secure(request) else "tabsync"
    return f"{name}-{port}" if port.isdecimal() else name


def is_secure(request: Request) -> bool:
    """Whether cookies are Secure: always, but for plain http to this machine itself.

    Safari refuses them there, where Chromium and Firefox take them: https://bugs.webkit.org/show_bug.cgi?id=281149
    What goes to the loopback crosses no network. Over plain http to another address a browser keeps no cookie of ours,
    and nobody can log in, as it should be.
    """
    host = urlsplit(f"//{request.headers['host']}").hostname or ""
    return request.url.scheme == "https" or not is_loopback(host)


def set_cookie(request: Request, response: Response, name: str, value: str, seconds: int | None = None) -> None:
    """Set a cookie that no script can read and no other site can make a browser send.

    seconds: how long it lives; None: until the browser ends.
    """
    response.set_cookie(
        name, value, max_age=seconds, secure=is_secure(request), httponly=True, samesite="strict", path="/"
    )


def forget_cookie(request: Request, response: Response, name: str) -> None:
    """Take a cookie away."""
    response.delete_cookie(name, secure=is_secure(request), httponly=True, samesite="strict", path="/")


def current_session(request: Request, console: Console) -> Session | None:
    """The session of a request, if it is valid. What a page asks for by itself does not count as activity."""
    token = request.cookies.get(cookie_name(request), "")
    by_itself = "hx-request" in request.headers
    return find_session(console.ledger, token, touch=not by_itself) if token else None


def anybody() -> None:
    """For the login."""


def viewer(request: Request, console: Annotated[Console, Depends(console_of)]) -> Session:
    """A session of any role. Raises NotLoggedIn."""
    session = current_session(request, console)
    if session is None:
        raise NotLoggedIn
    request.state.session = session
    return session


def responder(session: Annotated[Session, Depends(viewer)]) -> Session:
    """A session of a responder or an admin. Raises HTTPException 403."""
    if not may(session.operator, "responder"):
        raise HTTPException(403, f"{session.operator.name} is a viewer; a responder or an admin may do this.")
    return session


def admin(session: Annotated[Session, Depends(viewer)]) -> Session:
    """A session of an admin. Raises HTTPException 403."""
    if not may(session.operator, "admin"):
        raise HTTPException(403, f"{session.operator.name} is a {session.operator.role}; only an admin may do this.")
    return session


def viewer_post(session: Annotated[Session, Depends(viewer)], csrf: Annotated[str, Form()] = "") -> Session:
    """A form that was sent by a session. Raises HTTPException 403 when it doesn't carry the session's token."""
    check_csrf(csrf, session.csrf_token)
    return session


async def sent_form(request: Request) -> FormData:
    """All fields of the form that was sent."""
    return await request.form()


def responder_post(session: Annotated[Session, Depends(responder)], csrf: Annotated[str, Form()] = "") -> Session:
    """A form that was sent by a responder's or an admin's session."""
    check_csrf(csrf, session.csrf_token)
    return session


def admin_post(session: Annotated[Session, Depends(admin)], csrf: Annotated[str, Form()] = "") -> Session:
    """A form that was sent by an admin's session."""
    check_csrf(csrf, session.csrf_token)
    return session


def token_viewer(request: Request, console: Annotated[Console, Depends(console_of)]) -> Operator:
    """The operator whose token a program sends. Raises HTTPException 401.

    No cookie counts here, so no page of somebody else's can make a browser ask.
    """
    scheme, _, sent = request.headers.get("authorization", "").partition(" ")
    found = operator_of(console.ledger, sent.strip()) if scheme.lower() == "bearer" and sent.strip() else None
    if found is None:
        hint = "send Authorization: Bearer TOKEN; to make one: tabsync operator token NAME"
        raise HTTPException(401, hint, {"www-authenticate": "Bearer"})
    return found


def token_responder(who: Annotated[Operator, Depends(token_viewer)]) -> Operator:
    """The same, of a responder or an admin. Raises HTTPException 403."""
    if not may(who, "responder"):
        raise HTTPException(403, f"{who.name} is a viewer; a responder or an admin may do this.")
    return who


def token_admin(who: Annotated[Operator, Depends(token_viewer)]) -> Operator:
    """The same, of an admin. Raises HTTPException 403."""
    if not may(who, "admin"):
        raise HTTPException(403, f"{who.name} is a {who.role}; only an admin may do this.")
    return who


def link_holder(token: str, request: Request, console: Annotated[Console, Depends(console_of)]) -> Link:
    """Who holds a link that was sent in a message: the alert and the contact. Raises HTTPException 403, 429.

    The link is the proof, in the form that it leads to as well: no cookie goes with it, so no other site can use one.
    """
    keys = (Key(f"link from {origin_of(request.client.host if request.client else '')}", FREE_ADDRESS),)
    seconds = console.links.wait(keys)  # what is wrong is counted below; what is right forgives nothing
    if seconds > 0:
        told = f"Too many attempts. Try again in {int(seconds) + 1} s."
        raise HTTPException(429, told, {"retry-after": str(int(seconds) + 1)})
    try:
        if not (key := known_key(console.workspace.home)):
            raise ValueError("this link is not valid")
        return read_token(key, token, now())
    except ValueError as error:
        if not isinstance(error, TooOld):
            console.links.admit(keys)
        told = f"{str(error).capitalize()}. On the command line: tabsync alert list, tabsync alert ack ID."
        raise HTTPException(403, told) from None


def masked(token: str) -> str:
    """A form's token as a page carries it: different in each response.

    Pages are compressed, and of a secret that stands in many compressed pages beside what somebody else chose, the
    lengths give away a letter at a time. https://breachattack.com/#mitigations
    """
    plain = token.encode()
    pad = secrets.token_bytes(len(plain))
    return urlsafe_b64encode(pad + _xor(pad, plain)).decode()


def unmasked(sent: str) -> bytes:
    """The token under the mask; b"" when it isn't one."""
    try:
        both = b64decode(sent.encode(), altchars=b"-_", validate=True)
    except ValueError:
        return b""
    half = len(both) // 2
    return _xor(both[:half], both[half:])


def _xor(one: bytes, other: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, other, strict=False))


def check_csrf(sent: str, expected: str) -> None:
    """Raises HTTPException 403 when what a form carries is not the expected token under a mask."""
    if not expected or not hmac.compare_digest(unmasked(sent), expected.encode()):
        raise HTTPException(403, "This form is out of date. Go back, reload the page and send it again.")


def login_url(request: Request) -> str:
    """Where somebody without a session is sent, and will come back from."""
    back = request.url.path if request.method == "GET" else "/"
    if "hx-request" in request.headers:  # a fragment: the page that it belongs to
        back = safe_next(urlsplit(request.headers.get("hx-current-url", "")).path)
    return "/login" if back == "/" else f"/login?next={quote(back)}"


def safe_next(path: str) -> str:
    """A path to go to after the login: one of ours, or "/". Never another host ("//host" or with a backslash)."""
    ours = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable()
    return path if ours else "/"


Public = Annotated[None, Depends(anybody)]
Viewer = Annotated[Session, Depends(viewer)]
Admin = Annotated[Session, Depends(admin)]
ViewerPost = Annotated[Session, Depends(viewer_post)]
AdminPost = Annotated[Session, Depends(admin_post)]
Responder = Annotated[Session, Depends(responder)]
ResponderPost = Annotated[Session, Depends(responder_post)]

LinkHolder = Annotated[Link, Depends(link_holder)]
TokenViewer = Annotated[Operator, Depends(token_viewer)]
TokenResponder = Annotated[Operator, Depends(token_responder)]
TokenAdmin = Annotated[Operator, Depends(token_admin)]

GUARDS = {
    anybody,
    link_holder,
    viewer,
    responder,
    admin,
    viewer_post,
    responder_post,
    admin_post,
    token_viewer,
    token_responder,
    token_admin,
}
POSTING = {anybody, link_holder, viewer_post, responder_post, admin_post, token_responder, token_admin}
