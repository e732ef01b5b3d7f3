"""Runs the console: in the foreground for `tabsync serve`, in a thread for the demo and tests."""

from __future__ import annotations

import signal
import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import FrameType
from urllib.parse import urlsplit

import uvicorn
from fastapi import FastAPI

from tabsync.console.app import create_app
from tabsync.console.base.connections import BIGGEST_HEAD, STANDARD, Limits, bounded
from tabsync.console.base.state import Console
from tabsync.kernel.errors import FailedPartway
from tabsync.system.listen import checked_proxies, listen
from tabsync.system.parent import is_orphan
from tabsync.workspace import Workspace

PORT = 8420

_LET_FINISH = 3  # seconds for open requests when stopping
_LET_TIDY = 30.0  # seconds for a run that was told to stop


@dataclass(slots=True)
class Running:
    """A console that serves. url: where; console: what its pages share."""

    url: str
    console: Console
    _server: uvicorn.Server
    _thread: threading.Thread

    def stop(self) -> None:
        """Answer what was asked, stop what runs, close the port. A run that doesn't end in time is swept later."""
        self._server.should_exit = True
        self.console.guides.stop(_LET_TIDY)
        self.console.worker.stop(_LET_TIDY)
        self._thread.join(_LET_FINISH + 5)


def serve(
    workspace: Workspace,
    host: str = "127.0.0.1",
    port: int = PORT,
    on_ready: Callable[[str], None] = lambda url: None,
    names: Sequence[str] = (),
    proxies: Sequence[str] = (),
    listening: socket.socket | None = None,
) -> None:
    """Serve until Ctrl-C or SIGTERM, or until the process that keeps this one is gone.

    port: 0 picks a free one; on_ready: called with the URL once it answers; names: further Host headers to answer to,
    those of a TLS proxy; proxies: addresses or networks whose X-Forwarded-For and X-Forwarded-Proto are believed;
    listening: the socket, where somebody else opened it.
    Raises Refused when the port is taken, or the host is reachable from outside without a name; BadUsage when a proxy
    is no address.
    """
    asked = threading.Event()

    def ask(_number: int, _frame: FrameType | None) -> None:
        if asked.is_set():
            raise KeyboardInterrupt  # the second time: don't wait for what runs
        asked.set()

    previous = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        running = start(workspace, host, port, names, Limits(proxies=checked_proxies(proxies)), listening)
        try:
            on_ready(running.url)
            while not asked.wait(1.0) and running._thread.is_alive() and not is_orphan():
                pass
        finally:
            running.stop()
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def start(
    workspace: Workspace,
    host: str = "127.0.0.1",
    port: int = 0,
    names: Sequence[str] = (),
    limits: Limits = STANDARD,
    listening: socket.socket | None = None,
) -> Running:
    """Serve in a thread, and return once it answers; the same arguments and errors as serve()."""
    listening = listening or listen(host, port, names)
    taken: int = listening.getsockname()[1]
    shown = f"[{host}]" if ":" in host else host
    hosts = [f"{shown}:{taken}", f"localhost:{taken}", *names, *_public(workspace)]
    try:
        app = create_app(workspace, hosts=hosts)
    except BaseException:
        listening.close()
        raise
    return _start(app, listening, f"http://{shown}:{taken}/", limits)


def _public(workspace: Workspace) -> list[str]:
    """The host that the links in messages lead to, as browsers say it: a scheme's own port is left out."""
    url = urlsplit(workspace.public_url)
    own = {"https": ":443", "http": ":80"}.get(url.scheme, "")
    host = url.netloc.lower()
    return [host.removesuffix(own) if own else host] if host else []


def _start(app: FastAPI, listening: socket.socket, url: str, limits: Limits) -> Running:
    config = uvicorn.Config(
        app,
        http=bounded(limits),
        h11_max_incomplete_event_size=BIGGEST_HEAD,
        log_config=None,
        access_log=False,
        server_header=False,
        # Whoever can reach the port could otherwise choose the address that the throttle sees.
        proxy_headers=bool(limits.proxies),
        forwarded_allow_ips=list(limits.proxies),
        lifespan="off",
        ws="none",
        timeout_graceful_shutdown=_LET_FINISH,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, name="console", daemon=True)
    thread.start()
    while not server.started:
        if not thread.is_alive():
            raise FailedPartway("the console did not start", "read the log above")
        time.sleep(0.01)
    return Running(url, app.state.console, server, thread)
