"""Asking the session that the service keeps: a process that was connected before all connections were in use.

It listens at a socket in the home. One line of JSON is a question, one line its answer: the name of a statement of this
chapter, with values for it, never SQL.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

from tabsync.kernel.errors import FailedPartway, Refused
from tabsync.kernel.step import Facts
from tabsync.postgres.whereto import Whereto, whereto
from tabsync.sessions.statements import SQL, Said
from tabsync.system.local import connect_to, peer_process

if TYPE_CHECKING:
    from pathlib import Path

    from tabsync.workspace import Workspace

SOCKET = "emergency.sock"
LONGEST = 32 << 20
"""Bytes of a line."""

_SECONDS = 15.0  # for an answer: the server has 10 for a hundred statements
_AT_ONCE = 100  # sets of values in one question


def socket_of(workspace: Workspace) -> Path:
    """Where the service listens."""
    return workspace.home / SOCKET


@dataclass(slots=True)
class Emergency:
    """A conversation with the service."""

    connected: socket.socket
    reading: BinaryIO
    place: Whereto

    def ask(self, name: str, several: Sequence[Mapping[str, object]]) -> list[Said]:
        """What a statement gave, with each of several sets of values. Raises Refused, or FailedPartway."""
        found: list[Said] = []
        for start in range(0, len(several), _AT_ONCE):
            question = {"place": asdict(self.place), "name": name, "values": list(several[start : start + _AT_ONCE])}
            found += [Said(**one) for one in self._asked(question)["said"]]
        return found

    def hello(self) -> Facts:
        """Who keeps the session: {"user", "signals_all", ...}, as `here` of sessions.sql. Raises as ask()."""
        (said,) = self.ask("here", [{}])
        if said.error:
            raise Refused(f"the service's session did not answer: {said.error}")
        return said.rows[0]

    def close(self) -> None:
        """End it."""
        with suppress(OSError):
            self.reading.close()
            self.connected.close()

    def _asked(self, question: Facts) -> Facts:
        try:
            self.connected.sendall(json.dumps(question).encode() + b"\n")
            answer: Facts = json.loads(self.reading.readline(LONGEST))
        except (OSError, ValueError) as error:
            fact = f"the service (process {peer_process(self.connected)}) did not answer: {error or 'it hung up'}"
            raise FailedPartway(
                fact, "if that process hangs or is stopped, end it and start tabsync serve again"
            ) from None
        if answer.get("refused"):
            raise Refused(str(answer["refused"]), "see whether the service runs: tabsync serve")
        return answer


def call(workspace: Workspace) -> Emergency:
    """Ask for the service. Raises OSError when nobody listens."""
    connected = connect_to(socket_of(workspace), _SECONDS)
    return Emergency(connected, connected.makefile("rb"), whereto(workspace.conninfo))


def checked(line: bytes, place: Whereto | None) -> tuple[str, list[dict[str, Any]]]:
    """The name of the statement and the sets of values that a question asks for; see Emergency.

    place: where the service's session is, None while it has none. Raises ValueError for anything else.
    """
    asked = json.loads(line)
    if not isinstance(asked, dict) or asked.keys() != {"place", "name", "values"}:
        raise ValueError("that is no question")
    if place and not place.is_same(wanted := _place(asked["place"])):
        raise ValueError(f"the service keeps a session to another database: {place.told}, not {wanted.told}")
    name, values = asked["name"], asked["values"]
    if not isinstance(name, str) or name not in SQL:
        raise ValueError("there is no such statement")
    if not isinstance(values, list) or len(values) > _AT_ONCE or not all(isinstance(one, dict) for one in values):
        raise ValueError("these are no values")
    return name, values


def _place(given: object) -> Whereto:
    if not isinstance(given, dict) or given.keys() != {"database", "at"} or not isinstance(given["at"], list):
        raise ValueError("that is no place")
    return Whereto(str(given["database"]), tuple(str(one) for one in given["at"]))


def answer_of(said: Sequence[Said]) -> bytes:
    """The line that answers a question."""
    return json.dumps({"said": [asdict(one) for one in said]}).encode() + b"\n"


def refusal_of(fact: str) -> bytes:
    """The line that answers a question which was not asked of the server."""
    return json.dumps({"refused": fact}).encode() + b"\n"
