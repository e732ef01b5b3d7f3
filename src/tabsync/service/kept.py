"""The session that is kept for the hour in which nobody gets in any more, and the socket through which one asks it.

It only answers the named statements of sessions/, for processes of our own account. It is in a thread beside the
collector, which it never waits for and never delays.
"""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Event, Thread

import psycopg

from tabsync.kernel.errors import TabsyncError, words_of
from tabsync.postgres.connect import Connection, connect
from tabsync.postgres.pipe import LOST
from tabsync.postgres.whereto import Whereto, whereto_of
from tabsync.service.askers import Askers
from tabsync.sessions.emergency import answer_of, checked, refusal_of, socket_of
from tabsync.sessions.evidence import note_answer
from tabsync.sessions.statements import LIMITS, ask
from tabsync.system.claims import Claim, claim
from tabsync.system.local import listen_at
from tabsync.workspace import Workspace

_PAUSE = 1.0  # seconds between two looks whether it is to end
_AGAIN = (1.0, 2.0, 5.0, 10.0, 15.0)  # seconds until it is tried again
_ALIVE = 60.0  # seconds after which a session that nobody asked is asked whether it is there


@dataclass(slots=True)
class Kept:
    """The session of one home. say: where a person reads what is wrong; stopping: set to end it."""

    workspace: Workspace
    say: Callable[[str], None]
    stopping: Event
    _held: Claim | None = None
    _listening: socket.socket | None = None
    _session: Connection | None = None
    _askers: Askers = field(init=False)
    _place: Whereto | None = None
    _tries: int = 0
    _connect_at: float = 0.0
    _listen_at: float = 0.0
    _alive_at: float = 0.0
    _said: str = ""

    def __post_init__(self) -> None:
        """Whoever asks is answered by this session."""
        self._askers = Askers(self._answer_to)

    def start(self) -> Thread:
        """Keep it in a thread, which ends with the process."""
        thread = Thread(target=self.run, name="kept session", daemon=True)
        thread.start()
        return thread

    def run(self) -> None:
        """Keep a session and answer, until `stopping` is set."""
        try:
            while not self.stopping.is_set():
                try:
                    self.step(_PAUSE)
                except Exception as error:  # noqa: BLE001 - whatever it is, a way in is there for the next who asks
                    self._begin_anew(error)
        finally:
            self.close()

    def step(self, seconds: float) -> None:
        """See to the socket and the session, and answer whoever asks within some seconds. Never raises for either."""
        if not self._listens():
            self.stopping.wait(seconds)
            return
        self._connected()
        try:
            heard = [one for one in (self._listening, self._session, *self._askers.sockets) if one]
            ready, _, _ = select.select(heard, [], [], seconds)
        except (OSError, ValueError, psycopg.Error):  # the session ended on its own side
            self._lose()
            return
        if self._session in ready:
            self._hear()
        self._askers.hear(ready)
        if self._listening is not None and self._listening in ready:
            self._askers.accept(self._listening)
        elif self._session is not None and time.monotonic() >= self._alive_at:
            self._ask_alive()
        self._askers.drop_silent()

    def close(self) -> None:
        """End the session, and let go of the socket."""
        self._lose()
        self._askers.close()
        if self._listening is not None:
            with suppress(OSError):
                socket_of(self.workspace).unlink()
            self._listening.close()
        if self._held is not None:
            self._held.release()
        self._listening = self._held = None

    def _listens(self) -> bool:
        """Whether the socket is ours; another process of this home may have it, and then keeps the session too."""
        if self._listening is not None:
            return True
        if time.monotonic() < self._listen_at:
            return False
        self._listen_at = time.monotonic() + _AGAIN[-1]
        try:
            self._held = self._held or claim(self.workspace.home / "emergency")
            if self._held is None:
                return False
            self._listening = listen_at(socket_of(self.workspace))
        except (OSError, TabsyncError) as error:
            self._note(f"no socket for emergencies: {words_of(error)}")
            return False
        return True

    def _connected(self) -> None:
        if self._session is not None or time.monotonic() < self._connect_at:
            return
        try:
            given = self.workspace.conninfo_as(self.workspace.emergency_user)
            self._session = connect(given, "emergency", limits=LIMITS)
        except (TabsyncError, psycopg.Error, OSError) as error:
            self._connect_at = time.monotonic() + _AGAIN[min(self._tries, len(_AGAIN) - 1)]
            self._tries += 1
            fact = error.fact if isinstance(error, TabsyncError) else words_of(error)
            self._note(f"no session is kept for emergencies: {fact}")
            return
        self._tries, self._connect_at = 0, 0.0
        self._place = whereto_of(self._session)
        self._alive_at = time.monotonic() + _ALIVE
        self._look_around()
        self._note_answer()

    def _look_around(self) -> None:
        """Say beforehand when it could look and not act."""
        if self._session is None:
            return
        (said,) = ask(self._session, (), "here", [{}])
        if said.rows and not (said.rows[0]["signals_all"] and said.rows[0]["sees_all"]):
            user = said.rows[0]["user"]
            self._note(
                f"the session kept for emergencies may not end others': grant pg_monitor, pg_signal_backend to {user}"
            )
        elif said.rows:
            self._note("")

    def _hear(self) -> None:
        """What comes without being asked for is the end of the session, or a notice."""
        if self._session is None:
            return
        with suppress(psycopg.Error):
            self._session.pgconn.consume_input()
        if self._session.closed:
            self._lose()

    def _ask_alive(self) -> None:
        """A network that is cut says nothing by itself."""
        self._alive_at = time.monotonic() + _ALIVE
        if self._session is not None and ask(self._session, (), "alive", [{}])[0].error:
            self._lose()
        else:
            self._note_answer()

    def _note_answer(self) -> None:
        """Where it answers now is what tells a stopped server from a wrong port, when it doesn't answer any more."""
        if self._session is None:
            return
        (said,) = ask(self._session, (), "room", [{}])
        if said.rows:
            note_answer(self.workspace, said.rows[0])

    def _begin_anew(self, error: Exception) -> None:
        """After what nobody has foreseen: a new session, and whoever asked has to ask again."""
        self._note(f"the session kept for emergencies failed, and is made anew: {words_of(error)}")
        self._lose()
        self._askers.close()
        self.stopping.wait(_AGAIN[0])

    def _lose(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            with suppress(psycopg.Error):
                session.close()

    def _answer_to(self, line: bytes) -> bytes:
        """Answer a question; whatever is in it, the next one is answered too."""
        try:
            return self._answered(line)
        except Exception as error:  # noqa: BLE001 - what has been asked of the session so far is not known
            self._note(f"a question failed: {words_of(error)}")
            self._lose()
            return refusal_of(f"the service could not answer: {words_of(error)}")

    def _answered(self, line: bytes) -> bytes:
        self._connected()
        try:
            name, values = checked(line, self._place)
        except ValueError as error:
            return refusal_of(str(error))
        if self._session is None:
            return refusal_of(self._said or "the service has no session itself")
        try:
            said = ask(self._session, (), name, values)
        except (psycopg.Error, TypeError, KeyError) as error:
            return refusal_of(f"the values do not fit {name}: {words_of(error)}")
        self._alive_at = time.monotonic() + _ALIVE
        if self._session.closed:
            self._lose()
        if said and all(one.error == LOST for one in said):
            self._connect_at = 0.0
        return answer_of(said)

    def _note(self, fact: str) -> None:
        """Say once what is wrong."""
        if fact and fact != self._said:
            with suppress(OSError, ValueError):  # nobody reads it any more
                self.say(fact)
        self._said = fact
