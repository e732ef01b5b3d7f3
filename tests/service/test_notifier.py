"""From a condition on a real server to a mail on a real SMTP server, and to a webhook."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC
from email import message_from_bytes
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from tabsync.monitoring.alerts.keep import fired
from tabsync.monitoring.notify.send import HEADER
from tabsync.service.notifier import Notifier
from tabsync.workspace import Workspace
from tests.conftest import Databases, run_sql
from tests.service.test_collector import MANUAL, Watched, put

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

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:
        if self.answers:
            return self.answers.pop(0)
        assert isinstance(envelope.content, bytes)
        message = message_from_bytes(envelope.content)
        message["X-Rcpt"] = ", ".join(envelope.rcpt_tos)
        self.got.append(message)
        return "250 taken"

    def subjects(self) -> list[str]:
        return [str(one["subject"]) for one in self.got]


@pytest.fixture
def mailbox() -> Iterator[tuple[Mailbox, int]]:
    box = Mailbox()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    controller = Controller(box, hostname="127.0.0.1", port=port)
    controller.start()
    yield box, port
    controller.stop()


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


@pytest.fixture
def told(
    databases: Databases,
    workspaces: Callable[..., Workspace],
    directory: Path,
    mailbox: tuple[Mailbox, int],
    webhook: tuple[list[dict[str, str]], int],
) -> Iterator[Told]:
    conninfo = databases()
    run_sql(conninfo, "create table waiting (name text, orders int)")
    run_sql(conninfo, "insert into waiting values ('kitchen', 1), ('bar', 1)")
    path = directory / "manual.md"
    path.write_text(MANUAL + CONTACTS)
    channels = (
        ("mail", f"mailto://127.0.0.1:{mailbox[1]}?from=tabsync@example.org&smtp=127.0.0.1"),
        ("hook", f"json://127.0.0.1:{webhook[1]}/alerts"),
    )
    watched = Watched(replace(workspaces(conninfo, path), channels=channels))
    notifier = Notifier(watched.workspace, "test", UTC, watched.said.append)
    yield Told(watched, notifier, mailbox[0], webhook[0])
    notifier.end()
    watched.collector.end()


def test_a_condition_becomes_a_mail_and_a_webhook_and_its_end_another(told: Told) -> None:
    put(told.watched, "kitchen", 60)
    told.watched.look()
    told.settle(lambda: len(told.box.got) == 1 and len(told.hook) == 1)
    (mail,) = told.box.got
    (episode,) = fired(told.watched.workspace.ledger(), told.watched.first.began_at)
    assert (mail["X-Rcpt"], mail[HEADER]) == ("admin@example.org", f"{episode.id}/Admin/start")
    assert mail["subject"].startswith("CRITICAL: Waiting, kitchen: 60 of 100 orders (60 %)")
    text = mail.get_payload(decode=True)
    assert isinstance(text, bytes)
    for words in (
        "bound: > 50 %",
        "Orders that nobody has taken.",
        "action: Take them",
        f"tabsync alert ack {episode.id}",
    ):
        assert words in text.decode()
    assert told.hook[0][HEADER.lower()] == f"{episode.id}/Lead/start"
    told.notifier.step()
    assert len(told.box.got) == 1
    put(told.watched, "kitchen", 1)
    told.watched.look()
    told.settle(lambda: len(told.box.got) == 2 and len(told.hook) == 2)
    assert told.box.subjects()[1].startswith("RECOVERED: Waiting, kitchen")
    assert {row["contact"] for row in told.rows()} == {"Admin", "Lead"}
    told.settle(lambda: all(row["state"] == "sent" for row in told.rows()))
