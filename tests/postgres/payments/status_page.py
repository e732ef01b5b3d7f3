"""A gateway's status page on the loopback, as Atlassian Statuspage serves it, well or badly.

https://www.stripestatus.com/api: summary.json, with page, status, components, incidents and scheduled_maintenances.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


def ago(minutes: float) -> str:
    """A time as the page writes it."""
    return (datetime.now(UTC) - timedelta(minutes=minutes)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def summary(indicator: str = "none", *, component: str = "operational", incident: str = "", **other: Any) -> Any:
    """A summary. incident: the state of one that began 20 minutes ago; other: what replaces a part of it."""
    incidents = {
        "id": "i1",
        "name": "Elevated API error rates",
        "status": incident,
        "impact": indicator,
        "started_at": ago(20),
        "created_at": ago(20),
        "updated_at": ago(5),
        "incident_updates": [{"body": "We are investigating.", "status": incident, "created_at": ago(5)}],
    }
    return {
        "page": {"id": "p1", "name": "Stripe", "url": "https://www.stripestatus.com", "updated_at": ago(5)},
        "status": {"indicator": indicator, "description": "All Systems Operational"},
        "components": [
            {"id": "c1", "name": "API", "status": component, "group": False, "updated_at": ago(5)},
            {"id": "c2", "name": "Dashboard", "status": "operational", "group": False, "updated_at": ago(5)},
        ],
        "incidents": [incidents] if incident else [],
        "scheduled_maintenances": [],
    } | other


@dataclass
class StatusPage:
    """What it answers. answering: what it does instead, all by itself; clock: seconds that its clock is ahead."""

    url: str = ""
    body: bytes = field(default_factory=lambda: json.dumps(summary()).encode())
    status: int = 200
    headers: dict[str, str] = field(default_factory=lambda: {"content-type": "application/json; charset=utf-8"})
    answering: Callable[[BaseHTTPRequestHandler], None] | None = None
    clock: float = 0.0
    ended: threading.Event = field(default_factory=threading.Event)

    def says(self, *args: Any, **kwargs: Any) -> None:
        """Answer a summary from now on."""
        self.body = json.dumps(summary(*args, **kwargs)).encode()

    def hangs(self, _handler: BaseHTTPRequestHandler) -> None:
        """Take the request, and say nothing."""
        self.ended.wait()

    def drips(self, handler: BaseHTTPRequestHandler) -> None:
        """A byte now and then, for ever: no read of it takes long."""
        handler.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 900000\r\n\r\n")
        while not self.ended.is_set():
            handler.wfile.write(b" ")
            time.sleep(0.05)

    def floods(self, handler: BaseHTTPRequestHandler) -> None:
        """Spaces without end."""
        handler.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n")
        while not self.ended.is_set():
            handler.wfile.write(b"10000\r\n" + b" " * 65536 + b"\r\n")


@contextmanager
def serving() -> Iterator[StatusPage]:
    """The page, on a port of its own."""
    page = StatusPage()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.close_connection = True
            if page.answering is not None:
                with suppress(OSError):
                    page.answering(self)
                return
            self.send_response_only(page.status)
            date = format_datetime(datetime.now(UTC) + timedelta(seconds=page.clock), usegmt=True)
            for name, value in {"date": date, "content-length": str(len(page.body)), **page.headers}.items():
                if value:
                    self.send_header(name, value)
            self.end_headers()
            self.wfile.write(page.body)

        def log_message(self, format: str, *args: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    page.url = f"http://127.0.0.1:{server.server_address[1]}/api/v2/summary.json"
    try:
        yield page
    finally:
        page.ended.set()
        server.shutdown()
        server.server_close()
        thread.join()
