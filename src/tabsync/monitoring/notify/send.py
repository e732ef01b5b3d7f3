"""Sends one message by one channel, through Apprise, within a time. The address is a secret, and is never told."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass
from typing import ClassVar
from urllib.parse import quote, urlencode

TIMEOUT = 15.0
"""Seconds after which a channel that does not answer has failed."""

HEADER = "X-TabSync-Delivery"
"""What makes a message that came twice recognisable."""

_MAILS = ("mailto", "mailtos")
_WEBHOOKS = ("json", "jsons", "xml", "xmls", "form", "forms")


@dataclass(frozen=True, slots=True)
class Sent:
    """What came of it. fact: why it failed, "" when it was taken."""

    fact: str = ""

    @property
    def ok(self) -> bool:
        """Whether the channel took it."""
        return not self.fact


def send(address: str, to: str, subject: str, text: str, delivery: str, timeout: float = TIMEOUT) -> Sent:
    """Send one message. Never raises.

    address: of the channel, as Apprise writes it; to: the contact's own address, for a channel of mails; delivery: the
    id that goes along as a header; timeout: seconds, for all of it.
    """
    found: list[Sent] = []
    url = completed(address, to, delivery, timeout)
    thread = threading.Thread(target=lambda: found.append(_sent(url, subject, text, timeout)), daemon=True)
    thread.start()
    thread.join(timeout + 1)  # Apprise's own time-out is for each step of it
    return found[0] if found else Sent(f"no answer within {timeout:.0f} s")


def completed(address: str, to: str, delivery: str, timeout: float) -> str:
    """The address of Apprise for one message. https://github.com/caronc/apprise/wiki/URLBasics"""
    scheme = address.partition("://")[0].lower()
    asked = {"cto": f"{min(timeout, 5):.0f}", "rto": f"{timeout:.0f}"}
    if scheme in _MAILS:
        asked |= {"to": to} if "@" in to and not _says(address, "to") else {}
        asked |= {f"+{HEADER}": delivery, "format": "text"}
    elif scheme in _WEBHOOKS:
        asked |= {f"+{HEADER}": delivery}
    joined = urlencode(asked, safe="+@", quote_via=quote)
    return f"{address}{'&' if '?' in address else '?'}{joined}"


def check(address: str) -> str:
    """What is wrong with an address, "" when Apprise knows it. It is not told: it holds secrets."""
    from apprise import Apprise

    with _quiet():
        return "" if Apprise().add(address) else "its address is none that Apprise knows"


def _says(address: str, name: str) -> bool:
    return any(one.partition("=")[0] == name for one in address.partition("?")[2].split("&"))


def _sent(url: str, subject: str, text: str, timeout: float) -> Sent:
    from apprise import Apprise, NotifyFormat

    began = time.monotonic()
    try:
        with _quiet() as told:
            apprise = Apprise()
            if not apprise.add(url):
                return Sent("its address is none that Apprise knows")
            if apprise.notify(body=text, title=subject, body_format=NotifyFormat.TEXT):
                return Sent()
    except Exception as error:  # noqa: BLE001 - a plugin for somebody else's service may raise anything
        return Sent(f"failed: {type(error).__name__}")
    late = time.monotonic() - began >= 0.9 * timeout
    return Sent("no answer in time" if late else _reason(told))


def _reason(told: list[str]) -> str:
    """Why it failed, as far as it can be told without the address."""
    words = " ".join(told).lower()
    known = (
        ("timed out", "no answer in time"),
        ("connection refused", "connection refused"),
        ("authentication", "it refuses the user or the password"),
        ("name or service not known", "its host is unknown"),
        ("certificate", "its certificate is not trusted"),
    )
    return next((fact for pattern, fact in known if pattern in words), "it was not taken")


class _quiet:
    """Keeps Apprise's log, which names addresses, out of ours, and gives its lines.

    It sends in threads of its own, so whose lines they are is known only where nobody else sends: else it gives none.
    """

    _lock = threading.Lock()
    _active: ClassVar[set[_Lines]] = set()

    def __enter__(self) -> list[str]:
        self._lines: list[str] = []
        self._handler = _Lines(self._lines)
        with self._lock:
            self._active.add(self._handler)
            if len(self._active) > 1:
                for one in self._active:
                    one.shared = True
        self._logger = logging.getLogger("apprise")
        self._logger.propagate = False
        self._logger.setLevel(logging.DEBUG)  # why a mail was not taken is told there only
        self._logger.addHandler(self._handler)
        return self._lines

    def __exit__(self, *_: object) -> None:
        self._logger.removeHandler(self._handler)
        with self._lock:
            self._active.discard(self._handler)
            if self._handler.shared:
                self._lines.clear()


class _Lines(logging.Handler):
    def __init__(self, lines: list[str]) -> None:
        super().__init__(logging.DEBUG)
        self._lines, self.shared = lines, False

    def emit(self, record: logging.LogRecord) -> None:
        self._lines.append(record.getMessage())
