"""A sign of life to a watcher elsewhere: it notices when this machine is gone, and nobody here could.

The address is pinged as healthchecks.io has it: /start when a run begins, the address itself when it went well, /fail
when it didn't; and once an hour while nothing runs. https://healthchecks.io/docs/http_api/
"""

from __future__ import annotations

import queue
import threading
from dataclasses import dataclass, field
from urllib.parse import urlsplit, urlunsplit

_PATIENCE = 10.0  # seconds for one ping
_WAITING = 100  # pings that wait at most: when nobody answers, the others are given up
EVERY = 3600.0
"""Seconds between two pings while nothing runs."""


@dataclass(slots=True)
class Heartbeat:
    """Pings an address from a thread of its own, so that no run ever waits for it. url: "" for none."""

    url: str
    failed: str = ""
    _queue: queue.Queue[str] = field(default_factory=lambda: queue.Queue(_WAITING))
    _thread: threading.Thread | None = None

    def ping(self, what: str = "") -> None:
        """Send one: "start", "fail", or "" for all is well. Never waits, never raises."""
        if not self.url:
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._send, name="heartbeat", daemon=True)
            self._thread.start()
        try:
            self._queue.put_nowait(what)
        except queue.Full:
            self.failed = "nobody answers"

    def _send(self) -> None:
        import httpx

        while True:
            what = self._queue.get()
            try:
                answer = httpx.get(_address(self.url, what), timeout=_PATIENCE, follow_redirects=True)
                self.failed = "" if answer.is_success else f"{self.place} answers {answer.status_code}"
            except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
                self.failed = f"{self.place} can't be reached: {type(error).__name__}"
            finally:
                self._queue.task_done()

    @property
    def place(self) -> str:
        """Where it goes, without the path: that is a secret."""
        try:
            return urlsplit(self.url).hostname or "the address"
        except ValueError:
            return "heartbeat.url, which is no URL,"

    def flush(self, seconds: float = 5.0) -> None:
        """Give what waits a little time to be sent."""
        until = threading.Event()
        for _ in range(int(seconds * 10)):
            if self._queue.unfinished_tasks == 0:
                return
            until.wait(0.1)


def _address(url: str, what: str) -> str:
    """The address of a ping: /start and /fail stand at the end of its path, before a query."""
    parts = urlsplit(url)
    path = parts.path.rstrip("/")
    return urlunsplit(parts._replace(path=f"{path}/{what}" if what else path))
