"""Asks an API over HTTP: within times, again where that is safe, and without a word of what was sent in an error."""

from __future__ import annotations

import contextlib
import email.utils
import re
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from tabsync.kernel.clock import now
from tabsync.kernel.errors import CannotConnect, TabsyncError

if TYPE_CHECKING:
    import httpx

PAUSE = 0.5
"""Seconds before the second attempt; each further one waits twice as long, or as long as Retry-After says."""

_LONGEST_PAUSE = 30.0
_CONNECT, _ANSWER = 5.0, 20.0  # seconds


def ask(
    method: str,
    url: str,
    body: Mapping[str, Any] | None,
    *,
    headers: Mapping[str, str],
    attempts: int,
    unknown: Callable[[str], TabsyncError],
) -> httpx.Response:
    """The answer to a request, whatever its status.

    attempts: of a request that only reads, and of one that was turned away unread (429); unknown: the error for a
    request that changes something and got no answer: whether it was taken isn't known, so it is sent once.
    Raises CannotConnect when nobody answers.
    """
    import httpx

    place = url.split("/", 3)
    base = "/".join(place[:3])
    limits = httpx.Timeout(_ANSWER, connect=_CONNECT)
    with httpx.Client(timeout=limits, headers=dict(headers), follow_redirects=False) as client:
        attempt = 0
        while True:
            attempt += 1
            last = attempt >= attempts
            answer = None
            try:
                answer = client.request(method, url, json=body)
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
