"""A relay between a client and a server: it counts how often the client waits, and can swallow everything."""

from __future__ import annotations

import selectors
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tabsync.postgres import embedded

_QUIET = 0.05  # seconds without a byte of the client after which it waits


@dataclass(slots=True)
class Relay:
    """conninfo: through it; turns: how many times its clients have waited for the server; swallows: from now on."""

    conninfo: str
    turns: int = 0
    swallows: threading.Event = field(default_factory=threading.Event)

    def serve(self, client: socket.socket, port: int) -> None:
        """Pass on what the client says; the server's answer is held back until the client has nothing more to say."""
        waits = False
        there = socket.create_connection(("127.0.0.1", port))
        with client, there, selectors.DefaultSelector() as selector:
            selector.register(client, selectors.EVENT_READ)
            selector.register(there, selectors.EVENT_READ)
            while True:
                ready = {key.fileobj for key, _ in selector.select()}
                if waits and client not in ready and not self._said(client):
                    self.turns += 1
                    waits = False
                elif client in ready or waits:
                    waits = True
                    if not self._passed(client, there):
                        return
                    continue
                if there in ready and not self._passed(there, client):
                    return

    def _said(self, client: socket.socket) -> bool:
        """Whether the client says more, soon."""
        with selectors.DefaultSelector() as selector:
            selector.register(client, selectors.EVENT_READ)
            return bool(selector.select(_QUIET))

    def _passed(self, source: socket.socket, to: socket.socket) -> bool:
        data = source.recv(65536)
        if data and not self.swallows.is_set():
            to.sendall(data)
        return bool(data)


@contextmanager
def relayed(server: embedded.Server) -> Iterator[Relay]:
    """A relay in front of a server that listens on TCP."""
    port = int(str(conninfo_to_dict(server.tcp_conninfo("postgres"))["port"]))
    ended = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.1)
        relay = Relay(make_conninfo(server.tcp_conninfo("postgres"), port=listening.getsockname()[1]))

        def accept() -> None:
            while not ended.is_set():
                try:
                    client, _ = listening.accept()
                except TimeoutError:
                    continue
                client.settimeout(None)
                threading.Thread(target=relay.serve, args=(client, port), daemon=True).start()

        accepting = threading.Thread(target=accept)
        accepting.start()
        try:
            yield relay
        finally:
            ended.set()
            accepting.join()
