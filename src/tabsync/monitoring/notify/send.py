"""Sends one message by one channel, through Apprise, within a time. The address is a secret, and is never told."""

from __future__ import annotations

import logging
import re
import threading
import time
from dataclasses import dataclass
from functools import cache
from typing import ClassVar
from urllib.parse import quote, urlencode

TIMEOUT = 15.0
"""Seconds after which a channel that does not answer has failed."""

MAIL_TIMEOUT = 30.0
"""The same of a mail server, which may think: it greets late on purpose, and looks into a mail before it takes it.

What it has taken while we waited no longer would come again: https://www.rfc-editor.org/rfc/rfc5321#section-4.5.3.2
"""

HEADER = "X-TabSync-Delivery"
"""What makes a message that came twice recognisable; ids that don't fit go on in HEADER-2, and so on."""

MOST_IDS = 6_000
"""Characters of all ids together: web servers take 8 kB of headers."""

_LINE = 900  # characters of a header: https://www.rfc-editor.org/rfc/rfc5322#section-2.1.1
_ADDRESSES = re.compile(r"[^\s,;?&<>@]+@[^\s,;?&<>@]+(?:[\s,;]+[^\s,;?&<>@]+@[^\s,;?&<>@]+)*")

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


def send(
    address: str, to: str, subject: str, text: str, delivery: str, timeout: float = 0.0, *, thread: str = ""
) -> Sent:
    """Send one message. Never raises.

    address: of the channel, as Apprise writes it; to: the contact's own address, for a channel of mails; delivery: the
    ids that go along as headers, with commas between; timeout: seconds, for all of it; 0: as long as its kind may take.
    thread: what the message belongs to, see completed().
    """
    is_mail = _scheme(address) in _MAILS
    seconds = timeout or (MAIL_TIMEOUT if is_mail else TIMEOUT)
    if is_mail and not _says(address, "to") and not _ADDRESSES.fullmatch(to.strip()):
        return Sent("the contact has no mail address in the manual")
    found: list[Sent] = []
    url = completed(address, to.strip(), delivery, seconds, thread)
    # A daemon: what drips on for hours keeps nobody from ending.
    sending = threading.Thread(target=lambda: found.append(_sent(url, subject, text, seconds)), daemon=True)
    sending.start()
    sending.join(seconds + 1)  # Apprise's own time-out is for each step of it
    return found[0] if found else Sent(f"no answer within {seconds:.0f} s")


def completed(address: str, to: str, delivery: str, timeout: float, thread: str = "") -> str:
    """The address of Apprise for one message. https://github.com/caronc/apprise/wiki/URLBasics

    thread: an id of a message that was never sent, to which all mails of one incident say that they belong: programs
    for mail show them as one conversation. https://www.rfc-editor.org/rfc/rfc5322#section-3.6.4
    """
    scheme = _scheme(address)
    asked = {"cto": f"{timeout if scheme in _MAILS else min(timeout, 5):.0f}", "rto": f"{timeout:.0f}"}
    if scheme in _MAILS:
        asked |= {"to": to} if not _says(address, "to") else {}
        asked |= {"format": "text"}
    if scheme in (*_MAILS, *_WEBHOOKS):
        asked |= {f"+{name}": ids for name, ids in headers(delivery).items()}
    if thread and scheme in _MAILS:
        asked |= {"+References": thread, "+In-Reply-To": thread}
    joined = urlencode(asked, safe="+@", quote_via=quote)
    return f"{address}{'&' if '?' in address else '?'}{joined}"


def headers(delivery: str) -> dict[str, str]:
    """The ids of a message as headers, none longer than a line of a mail may be."""
    lines = [""]
    for one in delivery.split(", "):
        if lines[-1] and len(lines[-1]) + len(one) + 2 > _LINE:
            lines.append("")
        lines[-1] += f", {one}" if lines[-1] else one
    return {f"{HEADER}-{number}" if number > 1 else HEADER: line for number, line in enumerate(lines, 1)}


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
            _follow_nobody()
            # Not by Apprise.notify(): it has six threads for the whole process, and each channel that drips keeps one.
            channel = Apprise.instantiate(url)
            if channel is None:
                return Sent("its address is none that Apprise knows")
            if channel.notify(body=text, title=subject, body_format=NotifyFormat.TEXT):
                return Sent()
    except Exception as error:  # noqa: BLE001 - a plugin for somebody else's service may raise anything
        return Sent(f"failed: {type(error).__name__}")
    late = time.monotonic() - began >= 0.9 * timeout
    return Sent("no answer in time" if late else _reason(told))


@cache
def _follow_nobody() -> None:
    """See that no channel of this process follows a redirect.

    It would ask for that page without the message, and take the answer for "told": a login page says 200 too.
    """
    from requests.sessions import Session

    Session.get_redirect_target = lambda _session, _response: None  # type: ignore[method-assign, assignment]


def _scheme(address: str) -> str:
    return address.partition("://")[0].lower()


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
