"""Asks an API over HTTP: within times, again where that is safe, and without a word of what was sent in an error."""

from __future__ import annotations

import contextlib
import email.utils
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from tabsync.kernel.clock import now
from tabsync.kernel.errors import CannotConnect, TabsyncError

if TYPE_CHECKING:
    import ssl

    import httpx

PAUSE = 0.5
"""Seconds before the second attempt; each further one waits twice as long, or as long as Retry-After says."""

_LONGEST_PAUSE = 30.0
_CONNECT, _ANSWER = 5.0, 20.0  # seconds
_under_way: dict[str, threading.Thread] = {}  # by what is asked; one that gets no answer is not asked once more


@dataclass(frozen=True, slots=True)
class Fetched:
    """An answer that was read whole. kind: its media type, without parameters; date, age: as its headers say it."""

    status: int
    kind: str
    body: bytes
    date: str = ""
    age: str = ""


def ask(
    method: str,
    url: str,
    body: Mapping[str, Any] | None,
    *,
    headers: Mapping[str, str],
    attempts: int,
    unknown: Callable[[str], TabsyncError],
    tls: ssl.SSLContext | None = None,
    form: Mapping[str, str] | None = None,
) -> httpx.Response:
    """The answer to a request, whatever its status.

    attempts: of a request that only reads, and of one that was turned away unread (429); unknown: the error for a
    request that changes something and got no answer: whether it was taken isn't known, so it is sent once. tls: for a
    server whose certificate no public authority signed; form: what is sent instead of a JSON body.
    Raises CannotConnect when nobody answers.
    """
    import httpx

    place = url.split("/", 3)
    base = "/".join(place[:3])
    limits = httpx.Timeout(_ANSWER, connect=_CONNECT)
    trust = True if tls is None else tls
    with httpx.Client(timeout=limits, headers=dict(headers), follow_redirects=False, verify=trust) as client:
        attempt = 0
        while True:
            attempt += 1
            last = attempt >= attempts
            answer = None
            try:
                answer = client.request(method, url, json=body, data=form)
            except httpx.ConnectError as error:
                if last:
                    raise CannotConnect(f"can't reach {base}: {_kind(error)}", "check the network") from None
            except httpx.HTTPError as error:
                if method != "GET":
                    raise unknown(_kind(error)) from None
                if last:
                    raise CannotConnect(f"no answer from {base}: {_kind(error)}", "try again") from None
            if answer is not None and (last or not _again(method, answer)):
                return answer
            time.sleep(pause(attempt, answer.headers.get("retry-after") if answer is not None else None, now()))


def fetch(url: str, auth: tuple[str, str] | None, *, seconds: float, most: int, accept: str = "text/plain") -> Fetched:
    """The answer to one GET, whatever its status. No redirect is followed.

    auth: user and password of basic authentication; seconds: for all of it; most: bytes that it may have.
    Raises CannotConnect when there is no whole answer in that time, or a longer one. What is asked and doesn't answer
    holds up nobody: it is left behind, and asked again only when it has ended.
    """
    place = "/".join(url.split("/", 3)[:3])
    earlier = _under_way.get(url)
    if earlier is not None:
        earlier.join(seconds)  # two who look at the same time are in order
    if earlier is not None and earlier.is_alive():
        raise CannotConnect(f"no answer from {place}: it was asked before and has not ended", "check the network")
    found: list[Fetched | CannotConnect] = []

    def get() -> None:
        try:
            found.append(_fetched(url, place, auth, time.monotonic() + seconds, most, accept))
        except CannotConnect as error:
            found.append(error)

    _under_way[url] = thread = threading.Thread(target=get, name="fetch", daemon=True)
    thread.start()
    thread.join(seconds)
    if not found:
        raise CannotConnect(f"no answer from {place} within {seconds:g} s", "check the network")
    if isinstance(found[0], CannotConnect):
        raise found[0] from None
    return found[0]


def _fetched(url: str, place: str, auth: tuple[str, str] | None, until: float, most: int, accept: str) -> Fetched:
    import httpx

    # Not compressed: a small answer could be one of a gigabyte.
    headers = {"accept": accept, "accept-encoding": "identity"}
    limits = httpx.Timeout(max(0.1, until - time.monotonic()), connect=_CONNECT)
    try:
        with (
            httpx.Client(timeout=limits, headers=headers, auth=auth, follow_redirects=False) as client,
            client.stream("GET", url) as answer,
        ):
            body = b"".join(_bounded(answer, place, until, most))
            kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
            date, age = (answer.headers.get(name, "").strip()[:40] for name in ("date", "age"))
            return Fetched(answer.status_code, kind, body, date, age)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise CannotConnect(f"no answer from {place}: {_kind(error)}", "check the network") from None


def _bounded(answer: httpx.Response, place: str, until: float, most: int) -> Iterator[bytes]:
    """The body as it comes. Raises CannotConnect for one that is too long, too slow, or could be cut unnoticed."""
    coded = answer.headers.get("content-encoding", "identity").strip().lower()
    if coded not in ("", "identity"):
        raise CannotConnect(f"{place} answers compressed, which it was asked not to do", "look for a newer tabsync")
    chunked = "chunked" in answer.headers.get("transfer-encoding", "").lower()
    if not chunked and "content-length" not in answer.headers:
        raise CannotConnect(f"{place} doesn't say how long its answer is: it may be cut", "look for a newer tabsync")
    size = 0
    for part in answer.iter_raw():
        size += len(part)
        if size > most:
            raise CannotConnect(f"the answer from {place} is longer than {most} bytes", "look for a newer tabsync")
        if time.monotonic() > until:
            raise CannotConnect(f"no whole answer from {place} in time", "check the network")
        yield part


def pause(attempt: int, retry_after: str | None, moment: datetime) -> float:
    """Seconds to wait after an attempt, as Retry-After says (seconds or a date), else longer each time.

    https://www.rfc-editor.org/rfc/rfc9110#field.retry-after
    """
    seconds = PAUSE * 2.0 ** (attempt - 1)
    if retry_after and retry_after.strip().isdecimal():
        seconds = float(retry_after)
    elif retry_after:
        with contextlib.suppress(ValueError, TypeError):  # it says nothing that we could follow
            seconds = (email.utils.parsedate_to_datetime(retry_after) - moment).total_seconds()
    return min(max(seconds, 0.0), _LONGEST_PAUSE)


def _again(method: str, answer: httpx.Response) -> bool:
    # Too many requests: this one was not looked at. Of the rest, only what reads is asked twice.
    return answer.status_code == 429 or (answer.status_code >= 500 and method == "GET")


def _kind(error: Exception) -> str:
    # The message of a transport error may hold the request; its class says enough.
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(error).__name__).lower()
    return f"{words} ({error})" if type(error).__name__ == "ConnectError" else words
