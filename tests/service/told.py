"""Those who are told, as real servers: one for mails, one for webhooks."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from tabsync.service.notifier import Notifier
from tests.service.test_collector import Watched

CONTACTS = """
## Contacts

| Role | Contact | Availability | Order | After | Told of | By |
|---|---|---|---|---|---|---|
| Admin | admin@example.org | 24/7 | 1 | — | critical, warning | mail |
| Lead | lead@example.org | 24/7 | 1 | — | critical | hook |
| Boss | boss@example.org | On-call | 2 | — | critical | mail |
| Supplier | help@example.org | 24/7 | | | | |
"""


@dataclass
class Mailbox:
    """A real SMTP server. answers: what it says to a message, instead of 250, one after the other."""

    got: list[Message] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)

    async def handle_MAIL(
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        envelope.mail_from, envelope.began = address, time.time()  # type: ignore[attr-defined]
        envelope.mail_options.extend(options)
        return "250 go on"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:
        if self.answers:
            return self.answers.pop(0)
        assert isinstance(envelope.content, bytes)
        message = message_from_bytes(envelope.content)
        message["X-Rcpt"] = ", ".join(envelope.rcpt_tos)
        message["X-Began"] = str(envelope.began)  # type: ignore[attr-defined]
        message["X-Came"] = str(time.time())
        self.got.append(message)
        return "250 taken"

    def subjects(self) -> list[str]:
        return [str(one["subject"]) for one in self.got]


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


class Receiver(Controller):
    """Closes a connection that is there when it stops: aiosmtpd leaves it open, which warns in another test."""

    def __init__(self, box: Mailbox, port: int) -> None:
        super().__init__(box, hostname="127.0.0.1", port=port)
        self.made: list[SMTP] = []

    def factory(self) -> SMTP:
        self.made.append(super().factory())  # type: ignore[no-untyped-call]
        return self.made[-1]

    def stop(self, no_assert: bool = False) -> None:
        asyncio.run_coroutine_threadsafe(self._closed(), self.loop).result(5)
        super().stop(no_assert=no_assert)

    async def _closed(self) -> None:
        for one in self.made:
            if one.transport is not None:
                one.transport.abort()  # type: ignore[attr-defined]
        await asyncio.sleep(0.01)  # what is closed is so in the next round of the loop


@contextmanager
def receiving(box: Mailbox, port: int) -> Iterator[None]:
    """Let it listen."""
    controller = Receiver(box, port)
    controller.start()
    yield
    controller.stop()


@pytest.fixture
def mailbox() -> Iterator[tuple[Mailbox, int]]:
    box, port = Mailbox(), free_port()
    with receiving(box, port):
        yield box, port


@pytest.fixture
def webhook() -> Iterator[tuple[list[dict[str, str]], int]]:
    got: list[dict[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            got.append({**{name.lower(): value for name, value in self.headers.items()}, "body": body.decode()})
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield got, server.server_port
    server.shutdown()
    server.server_close()


@dataclass
class Told:
    """A collector and a notifier of one workspace."""

    watched: Watched
    notifier: Notifier
    box: Mailbox
    hook: list[dict[str, str]]

    def settle(self, until: Callable[[], bool], seconds: float = 20) -> None:
        """Let the notifier work until something is so."""
        end = time.monotonic() + seconds
        while not until():
            assert time.monotonic() < end, (self.box.subjects(), self.rows())
            self.notifier.step()
            time.sleep(0.05)

    def rows(self) -> list[dict[str, Any]]:
        return self.watched.workspace.ledger().read("deliveries_since", since="")
