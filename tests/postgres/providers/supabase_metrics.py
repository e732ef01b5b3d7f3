"""A server on the loopback that speaks Supabase's Metrics API as documented, of one project, well or badly.

https://supabase.com/docs/guides/telemetry/metrics: Prometheus' text, for the user service_role and a secret key.
"""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.postgres.providers.supabase import REF

KEY = "sb_secret_canary0123456789"
GB = 1 << 30


def text(busy: float = 100, idle: float = 900, *, ref: str = REF, **other: object) -> str:
    """An answer: 2 processors, 8 GB of memory, 3 of them in use, a disk of 20 GB, 15 of them in use, 5 clients that
    wait for the pooler and 7 that work. other: values that are written instead, as they are."""
    who = f'supabase_project_ref="{ref}",supabase_identifier="{ref}",service_type="db"'
    value = {
        "size": 21 * GB,
        "free": 6 * GB,
        "avail": 5 * GB,
        "total": 8 * GB,
        "available": 5 * GB,
        "waiting": 5,
        "most": 200,
    } | other
    lines = ["# HELP node_filesystem_size_bytes Filesystem size in bytes.", "# TYPE node_filesystem_size_bytes gauge"]
    for one in ("size", "free", "avail"):
        lines += [f'node_filesystem_{one}_bytes{{{who},device="/dev/root",fstype="ext4",mountpoint="/"}} 1.0e9']
        lines += [f'node_filesystem_{one}_bytes{{{who},device="tmpfs",fstype="tmpfs",mountpoint="/run"}} 1']
        lines += [
            f'node_filesystem_{one}_bytes{{{who},device="/dev/nvme1n1",fstype="ext4",mountpoint="/data"}} {value[one]}'
        ]
    lines += [f"node_memory_MemTotal_bytes{{{who}}} {value['total']}"]
    lines += [f"node_memory_MemAvailable_bytes{{{who}}} {value['available']} 1795600000000"]
    for cpu in (0, 1):
        lines += [f'node_cpu_seconds_total{{{who},cpu="{cpu}",mode="idle"}} {idle / 2}']
        lines += [f'node_cpu_seconds_total{{{who},cpu="{cpu}",mode="user"}} {busy / 2}']
        lines += [f'node_cpu_seconds_total{{{who},cpu="{cpu}",mode="guest"}} {busy / 2}']
    for user, waiting, active in (("app", value["waiting"], 7), ("jobs", 0, 0)):
        pool = f'{who},database="postgres",user="{user}"'
        lines += [f"pgbouncer_pools_client_active_connections{{{pool}}} {active}"]
        lines += [f"pgbouncer_pools_client_waiting_connections{{{pool}}} {waiting}"]
        lines += [f"pgbouncer_pools_client_maxwait_seconds{{{pool}}} {1.5 if waiting else 0}"]
    lines += [f"pgbouncer_config_max_client_connections{{{who}}} {value['most']}"]
    # Of a read replica, of another service, and of a kind that nobody asks for.
    lines += [f'node_memory_MemTotal_bytes{{supabase_project_ref="{ref}",supabase_identifier="{ref}-rr"}} 5']
    lines += ['supavisor_db_network_recv{a="1",a="2",path="C:\\\\x \\"y\\"\\n"} 7']
    return "\n".join(lines) + "\n"


Answering = Callable[[BaseHTTPRequestHandler], None]


@dataclass
class Metrics:
    """What the server answers, and how often it was asked. answering: what it does instead, all by itself."""

    url: str = ""
    body: bytes = field(default_factory=lambda: text().encode())
    status: int = 200
    headers: dict[str, str] = field(default_factory=lambda: {"content-type": "text/plain; version=0.0.4"})
    answering: Answering | None = None
    asked: list[str] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)

    def drips(self, handler: BaseHTTPRequestHandler) -> None:
        """A byte now and then, for ever: no read of it takes long."""
        handler.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 1000000\r\n\r\n")
        while not self.ended.is_set():
            handler.wfile.write(b"#")
            time.sleep(0.05)

    def drips_its_head(self, handler: BaseHTTPRequestHandler) -> None:
        """The same before there is anything to read."""
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nx: ")
        while not self.ended.is_set():
            handler.wfile.write(b"x")
            time.sleep(0.05)

    def floods(self, handler: BaseHTTPRequestHandler) -> None:
        """Lines without end."""
        handler.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ntransfer-encoding: chunked\r\n\r\n")
        while not self.ended.is_set():
            handler.wfile.write(b"10000\r\n" + b"# nothing\n" * 6553 + b"# end\n\r\n")


@contextmanager
def serving() -> Iterator[Metrics]:
    """The server, on a port of its own."""
    metrics = Metrics()
    allowed = "Basic " + base64.b64encode(f"service_role:{KEY}".encode()).decode()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            metrics.asked.append(self.path)
            self.close_connection = True
            if metrics.answering is not None:
                with suppress(OSError):
                    metrics.answering(self)
                return
            known = self.headers.get("authorization") == allowed
            body = metrics.body if known else b'{"message":"Unauthorized"}'
            self.send_response(metrics.status if known else 401)
            for name, value in {"content-length": str(len(body)), **metrics.headers}.items():
                if value:
                    self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    metrics.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield metrics
    finally:
        metrics.ended.set()
        server.shutdown()
        server.server_close()
        thread.join()
