"""What a connection may cost us: how long a request may take to arrive, how much of it, and how many may be open.

uvicorn bounds the time between two requests, and nothing before or inside one: whoever sends half a request keeps the
connection for ever. Its limit on connections refuses the newest, which is the operator when a stranger took the rest.
Here the oldest that has not sent a whole request makes room. https://www.uvicorn.org/settings/#resource-limits
"""

from __future__ import annotations

import asyncio
import ipaddress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import STATUS_PHRASES, H11Protocol

BIGGEST_HEAD = 16_384
"""Bytes of a request line with its headers."""


@dataclass(frozen=True, slots=True)
class Limits:
    """arrive: seconds in which a request must be here, head and body; take: seconds in which a client must take
    something of an answer; each, all: connections of one address, and of all together; proxies: addresses and
    networks that speak for many, to which `each` does not apply."""

    arrive: float = 10.0
    take: float = 60.0
    each: int = 32
    all: int = 128
    proxies: tuple[str, ...] = ()


STANDARD = Limits()


def bounded(given: Limits) -> type[H11Protocol]:
    """The protocol that uvicorn is to speak under these limits."""

    class Own(Bounded):
        limits = given

    return Own


class Bounded(H11Protocol):
    """uvicorn's HTTP/1.1 with a deadline for each request and each answer, and a cap on connections."""

    limits = STANDARD

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self._deadline: asyncio.TimerHandle | None = None
        self._stalled: asyncio.TimerHandle | None = None
        self._since = self.loop.time()

    @property
    def origin(self) -> str:
        """Whom the connection counts for."""
        return origin_of(self.client[0] if self.client else "")

    @property
    def unfinished(self) -> bool:
        """Whether no whole request of it is being answered."""
        return not self.transport.is_closing() and self.conn.their_state in (h11.IDLE, h11.SEND_BODY)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take the connection if there is room, or can be made."""
        super().connection_made(transport)
        self._arm()
        self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is waited for any more."""
        self._disarm()
        if self._stalled is not None:
            self._stalled.cancel()
        super().connection_lost(exc)

    def handle_events(self) -> None:
        """Go on with what has come, and see what is waited for then: a part of a request has a deadline."""
        super().handle_events()
        begun = self.conn.their_state is h11.IDLE and bool(self.conn.trailing_data[0])
        if not self.transport.is_closing() and (begun or self.conn.their_state is h11.SEND_BODY):
            self._arm()
        else:
            self._disarm()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP, unless an answer is on its way: the two can't be told apart then."""
        self._answer(400, msg)

    def on_response_complete(self) -> None:
        """See that what was answered is also taken."""
        super().on_response_complete()
        if self.transport.is_closing():
            self._abort_later()

    def timeout_keep_alive_handler(self) -> None:
        """No further request came. close() waits for what the client has not taken: for ever, without this."""
        super().timeout_keep_alive_handler()
        self._abort_later()

    def pause_writing(self) -> None:
        """The client takes nothing: it has some time for that."""
        super().pause_writing()
        self._abort_later()

    def resume_writing(self) -> None:
        """The client takes what we send."""
        super().resume_writing()
        if self._stalled is not None and not self.transport.is_closing():
            self._stalled.cancel()
            self._stalled = None

    def _make_room(self) -> None:
        others = [one for one in self.connections if isinstance(one, Bounded) and one is not self]
        others = [one for one in others if not one.transport.is_closing()]
        mine = [one for one in others if one.origin == self.origin]
        if len(mine) >= self.limits.each and not self._is_proxy():
            candidates = mine
        elif len(others) >= self.limits.all:
            candidates = others
        else:
            return
        crowd = {one.origin: sum(other.origin == one.origin for other in others) for one in candidates}
        waiting = [one for one in candidates if one.unfinished]
        if waiting:
            min(waiting, key=lambda one: (-crowd[one.origin], one._since)).transport.abort()
        else:
            self._answer(503, "Too many connections.")

    def _is_proxy(self) -> bool:
        return within(self.client[0] if self.client else "", self.limits.proxies)

    def _arm(self) -> None:
        if self._deadline is None:
            self._since = self.loop.time()
            self._deadline = self.loop.call_later(self.limits.arrive, self._too_slow)

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_slow(self) -> None:
        # Browsers open connections that they may need: nothing was asked there, and nothing is answered.
        asked = self.conn.their_state is not h11.IDLE or bool(self.conn.trailing_data[0])
        self._answer(408, "The request was not received in time.") if asked else self.transport.close()

    def _answer(self, status: int, told: str) -> None:
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True  # whatever the page still says goes nowhere
            self.cycle.message_event.set()
        if self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            self.transport.abort()
            return
        headers = [("content-type", "text/plain; charset=utf-8"), ("connection", "close")]
        headers.append(("content-length", str(len(told))))
        head = h11.Response(status_code=status, headers=headers, reason=STATUS_PHRASES[status])
        for event in (head, h11.Data(data=told.encode()), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()
        self._abort_later()

    def _abort_later(self) -> None:
        if self._stalled is None:
            self._stalled = self.loop.call_later(self.limits.take, self.transport.abort)


def origin_of(address: str) -> str:
    """Whom an address stands for: itself, or with IPv6 its /64, which one host has all of."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address[:64]
    return str(ipaddress.ip_network((found, 64), strict=False)) if found.version == 6 else str(found)


@lru_cache(maxsize=1024)
def within(address: str, networks: tuple[str, ...]) -> bool:
    """Whether an address is one of these addresses or in one of these networks."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(found in ipaddress.ip_network(one, strict=False) for one in networks)
