"""Listening sockets, and whom one may listen to."""

from __future__ import annotations

import errno
import ipaddress
import socket
from collections.abc import Sequence

from tabsync.kernel.errors import BadUsage, Refused


def is_loopback(host: str) -> bool:
    """Whether a name or an address in a URL is this machine itself."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def listen(host: str, port: int, names: Sequence[str] = ()) -> socket.socket:
    """A listening socket. Raises Refused when the port is taken or needs more rights, or others could reach it."""
    if not is_loopback(host) and not names:
        raise Refused(
            f"{host} can be reached from other machines",
            "put a TLS proxy in front and name it: tabsync serve --name console.example.org",
        )
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listening = socket.create_server((host, port), family=family, backlog=128)
        # asyncio sets this only on sockets whose proto says TCP, and create_server leaves it 0. Without it head and
        # body of an answer, sent one after the other, wait 40 ms for the browser's delayed acknowledgement.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listening
    except PermissionError:
        raise Refused(f"listening on port {port} is not permitted", "--port 0 picks a free one") from None
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise Refused(f"port {port} is in use", "--port 0 picks a free one") from None
        raise Refused(f"can't listen on {host}: {error.strerror}", "tabsync serve --host 127.0.0.1") from None


def checked_proxies(proxies: Sequence[str]) -> tuple[str, ...]:
    try:
        return tuple(str(ipaddress.ip_network(one, strict=False)) for one in proxies)
    except ValueError as error:
        raise BadUsage(f"--trusted-proxy: {error}", "an address, or a network: 10.0.0.0/8") from None
