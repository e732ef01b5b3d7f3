"""What a channel does with one message, on real sockets: redirects, drips, thinks, or takes no such address."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session

from tabsync.monitoring.notify.send import HEADER, headers, send
from tests.service.told import Mailbox, free_port, receiving


@contextmanager
def web(answer: str) -> Iterator[tuple[str, list[str]]]:
    """A web server that sends each POST elsewhere, and says well to each GET; or one that drips."""
    seen: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            seen.append("POST")
            if answer == "drips":
                self.wfile.write(b"HTTP/1.0 200 OK\r\n")
                for _ in range(40):
                    self.wfile.write(b"X-Drip: 1\r\n")
                    time.sleep(0.2)
            self.send_response(302)
            self.send_header("Location", "/login")
            self.end_headers()

        def do_GET(self) -> None:
            seen.append("GET")
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.handle_error = lambda *_: None  # type: ignore[method-assign] # whoever asked has gone
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"json://127.0.0.1:{server.server_port}/", seen
    server.shutdown()
    server.server_close()


def test_a_redirect_is_no_delivery() -> None:
    with web("redirects") as (address, seen):
        assert not send(address, "", "s", "t", "e/a/start").ok
    assert seen == ["POST"]


def test_who_drips_keeps_no_other_channel_from_sending(mailbox: tuple[Mailbox, int]) -> None:
    box, port = mailbox
    with web("drips") as (address, _):
        for _ in range(8):  # more than there are threads for all of a process
            assert send(address, "", "s", "t", "e/a/start", timeout=0.5).fact.startswith("no answer")
        told = send(
            f"mailto://127.0.0.1:{port}?from=a@example.org&smtp=127.0.0.1", "b@example.org", "s", "t", "e/b/start"
        )
    assert told.ok
    assert [str(one[HEADER]) for one in box.got] == ["e/b/start"]


class _Thinks(Mailbox):
    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        time.sleep(6)  # more than Apprise was given for each step once
        return await super().handle_DATA(server, session, envelope)


def test_a_mail_server_may_think() -> None:
    box, port = _Thinks(), free_port()
    with receiving(box, port):
        told = send(
            f"mailto://127.0.0.1:{port}?from=a@example.org&smtp=127.0.0.1", "b@example.org", "s", "t", "e/b/start"
        )
    assert (told.fact, len(box.got)) == ("", 1)


@pytest.mark.parametrize("to", ["+34 600 000 000", "", "see the list", "a@b.org?cc=c@d.org", "@", "a@b.org, c"])
def test_what_is_no_mail_address_is_told_nothing(to: str) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        told = send(f"mailto://127.0.0.1:{nobody.getsockname()[1]}?from=a@example.org", to, "s", "t", "e/b/start")
    assert told.fact == "the contact has no mail address in the manual"


def test_many_ids_go_into_several_headers_that_a_mail_may_have(mailbox: tuple[Mailbox, int]) -> None:
    box, port = mailbox
    ids = [f"{number:012x}/Administrador da base de dados/start" for number in range(50)]
    assert all(len(line) <= 900 for line in headers(", ".join(ids)).values())
    address = f"mailto://127.0.0.1:{port}?from=a@example.org&smtp=127.0.0.1"
    assert send(address, "b@example.org, c@example.org", "s", "t", ", ".join(ids)).ok
    for mail in box.got:
        came = [" ".join(str(value).split()) for name, value in mail.items() if name.startswith(HEADER)]
        assert ", ".join(came).split(", ") == ids
    assert len(box.got) == 2
