"""Counts how many times a client waits for the server: a relay that answers once nothing more comes."""

from __future__ import annotations

import selectors
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tabsync.postgres import embedded

_QUIET = 0.05  # seconds without a byte of the client after which it waits


@contextmanager
def counting(server: embedded.Server) -> Iterator[tuple[str, Callable[[], int]]]:
    """A connection string through the relay, and how many times its clients have waited up to now."""
    parts = conninfo_to_dict(server.tcp_conninfo("postgres"))
    turns: list[None] = []
    ended = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.1)

        def accept() -> None:
            while not ended.is_set():
                try:
                    client, _ = listening.accept()
                except TimeoutError:
                    continue
                there = socket.create_connection(("127.0.0.1", int(str(parts["port"]))))
                threading.Thread(target=_relay, args=(client, there, turns), daemon=True).start()

        accepting = threading.Thread(target=accept)
        accepting.start()
        try:
            yield make_conninfo(server.tcp_conninfo("postgres"), port=listening.getsockname()[1]), lambda: len(turns)
        finally:
            ended.set()
            accepting.join()


def _relay(client: socket.socket, there: socket.socket, turns: list[None]) -> None:
    """Pass on what the client says; what the server says is held back until the client has nothing more to say."""
    waits = False
    with client, there, selectors.DefaultSelector() as selector:
        selector.register(client, selectors.EVENT_READ)
        selector.register(there, selectors.EVENT_READ)
        while True:
            ready = {key.fileobj for key, _ in selector.select()}
            if client in ready:
                waits = True
                if not (data := client.recv(65536)):
                    return
                there.sendall(data)
                continue
            client.settimeout(_QUIET)
            try:
                more = client.recv(65536) if waits else b""
            except TimeoutError:
                turns.append(None)
                waits, more = False, b""
            client.settimeout(None)
            if more:
                there.sendall(more)
                continue
            if not (data := there.recv(65536)):
                return
            client.sendall(data)
