"""A server on the loopback that speaks Supabase's management API as documented, with one project.

https://supabase.com/docs/reference/api: the list of backups, restore-pitr, the project's state; and what it says when
the token is wrong, the project is another one, there are too many requests, or something of its own is broken.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

REF = "idhlabcdefghijklmnop"
TOKEN = "sbp_canary0123456789"
EARLIEST, LATEST = 1_795_000_000, 1_795_600_000


def listed(*, pitr: bool = True) -> dict[str, Any]:
    """What GET /database/backups answers."""
    backups = [
        {"id": number, "is_physical_backup": True, "status": status, "inserted_at": at}
        for number, status, at in (
            (77, "COMPLETED", "2026-11-22T03:10:11.123Z"),
            (76, "COMPLETED", "2026-11-21T03:10:11.000Z"),
            (75, "FAILED", "2026-11-20T03:10:11.000Z"),
        )
    ]
    window = {"earliest_physical_backup_date_unix": EARLIEST, "latest_physical_backup_date_unix": LATEST}
    return {
        "region": "sa-east-1",
        "walg_enabled": pitr,
        "pitr_enabled": pitr,
        "backups": backups,
        "physical_backup_data": window if pitr else {},
    }


@dataclass
class Api:
    """What the server answers, and what it was asked. answers: (status, headers, body) that come before anything else;
    states: of the project, one for each time it is asked, the last one for ever."""

    url: str = ""
    backups: Any = field(default_factory=listed)
    answers: list[tuple[int, dict[str, str], bytes]] = field(default_factory=list)
    states: list[str] = field(default_factory=lambda: ["ACTIVE_HEALTHY"])
    asked: list[tuple[str, str, Any]] = field(default_factory=list)
    restores: list[int] = field(default_factory=list)

    def answer(self, method: str, path: str, token: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
        content: Any = json.loads(body) if body else None
        self.asked.append((method, path, content))
        if self.answers:
            return self.answers.pop(0)
        if token != f"Bearer {TOKEN}":
            return 401, {}, b'{"message":"Unauthorized"}'
        if not path.startswith(f"/v1/projects/{REF}"):
            return 404, {}, b'{"message":"Project not found"}'
        rest = path.removeprefix(f"/v1/projects/{REF}")
        if (method, rest) == ("GET", "/database/backups"):
            return 200, {}, self.backups if isinstance(self.backups, bytes) else json.dumps(self.backups).encode()
        if (method, rest) == ("POST", "/database/backups/restore-pitr"):
            moment = content["recovery_time_target_unix"]
            if not EARLIEST <= moment <= LATEST:
                return 400, {}, b'{"message":"recovery time is out of range"}'
            self.restores.append(moment)
            return 201, {}, b""
        if (method, rest) == ("GET", ""):
            state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
            return 200, {}, json.dumps({"id": REF, "name": "shop", "status": state}).encode()
        return 404, {}, b'{"message":"Cannot do that"}'


@contextmanager
def serving() -> Iterator[Api]:
    """The server, on a port of its own."""
    api = Api()

    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            token = self.headers.get("authorization", "")
            status, headers, content = api.answer(self.command, self.path, token, body)
            if status == 0:  # it dies without a word
                self.close_connection = True
                return
            self.send_response(status)
            for name, value in {"content-length": str(len(content)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = _serve

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    api.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield api
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
