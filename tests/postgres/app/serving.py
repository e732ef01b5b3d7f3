"""A server on the loopback that answers as a function says, and keeps what it was asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True)
class Asked:
    """One request."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


Answer = tuple[int, Any]
"""A status and what is sent with it: text, or anything else as JSON; of a redirect, the place."""


@dataclass
class Api:
    """A server: where it is, and what it was asked. refused: (method, how a path ends) -> what it says instead."""

    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    refused: dict[tuple[str, str], Answer] = field(default_factory=dict)

    def answered(self, one: Asked) -> Answer:
        """What it says."""
        for (method, end), answer in self.refused.items():
            if one.method == method and one.path.endswith(end):
                return answer
        return self.answer(one)

    def answer(self, one: Asked) -> Answer:
        raise NotImplementedError

    def changes(self) -> list[tuple[str, str]]:
        """What it was asked to change."""
        return [(one.method, one.path) for one in self.asked if one.method != "GET"]


@contextmanager
def serving(answer: Callable[[Asked], Answer], asked: list[Asked]) -> Iterator[str]:
    """The server, on a port of its own; gives its address."""

    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            parts = urlsplit(self.path)
            query = dict(parse_qsl(parts.query))
            one = Asked(self.command, parts.path, query, {k.lower(): v for k, v in self.headers.items()}, body)
            asked.append(one)
            status, content = answer(one)
            sent = content.encode() if isinstance(content, str) else json.dumps(content).encode()
            self.send_response(status)
            if 300 <= status < 400:
                self.send_header("location", str(content))
            self.send_header("content-length", str(len(sent)))
            self.end_headers()
            self.wfile.write(sent)

        do_GET = do_POST = do_PATCH = _serve

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
