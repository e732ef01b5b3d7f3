"""Who watches a game day's ground, and who is told: the collector, and a webhook on loopback."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tabsync.kernel.errors import FailedPartway, TabsyncError
from tabsync.monitoring.alerts.watch import last_scrape
from tabsync.system.parent import PARENT
from tabsync.workspace import Workspace

_PATIENCE = 60.0  # seconds for a process of ours to begin, or to end


@dataclass(slots=True)
class Told:
    """One who is told: a webhook on loopback. messages: when each came (monotonic), and what it said."""

    messages: list[tuple[float, str]] = field(default_factory=list)
    _came: threading.Condition = field(default_factory=threading.Condition)

    def first(self, about: str, seconds: float) -> tuple[float, str] | None:
        """The first message with some words in it; None when none came in time."""
        until = time.monotonic() + seconds
        with self._came:
            while True:
                found = next((one for one in self.messages if about in one[1]), None)
                if found or time.monotonic() >= until:
                    return found
                self._came.wait(until - time.monotonic())

    def take(self, text: str) -> None:
        """A message came."""
        with self._came:
            self.messages.append((time.monotonic(), text))
            self._came.notify_all()


@contextmanager
def receiver() -> Iterator[tuple[Told, int]]:
    """A webhook on loopback, for as long as the block runs."""
    told = Told()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.take(self.rfile.read(int(self.headers["content-length"])).decode(errors="replace"))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Nothing is logged."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield told, server.server_port
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def collecting(config: Path, workspace: Workspace) -> Iterator[None]:
    """The collector and the notifier, as a process of their own, from their first measurement on."""
    program = [sys.executable, "-m", "tabsync", "collector", "run", "--tell", "--config", str(config)]
    environment = os.environ | {PARENT: str(os.getpid())}  # it ends with us, however we end
    process = subprocess.Popen(
        program, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment
    )
    try:
        until = time.monotonic() + _PATIENCE
        while not _has_measured(workspace):
            if process.poll() is not None or time.monotonic() > until:
                raise FailedPartway(
                    "the collector did not begin to measure", f"tabsync collector run --config {config}"
                )
            time.sleep(0.1)
        yield
    finally:
        process.terminate()
        try:
            process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _has_measured(workspace: Workspace) -> bool:
    with suppress(TabsyncError):  # the file of the history is only just being made
        return last_scrape(workspace) is not None
    return False
