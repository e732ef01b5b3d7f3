"""The notifier: it makes the messages that alerts need, and sends them until they arrive.

A message is a row of the ledger before anything is sent, and stays "sending" until its channel has taken it. Killed in
between, it is sent again: nothing is lost, and what comes twice has the same delivery id.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta, tzinfo
from pathlib import Path
from threading import Event

from sqlalchemy import insert, update
from sqlalchemy.exc import SQLAlchemyError

from tabsync.incidents.record import incidents
from tabsync.kernel.clock import iso, now
from tabsync.kernel.errors import TabsyncError, words_of
from tabsync.kernel.step import Facts
from tabsync.ledger.sqlite_file import sqlite_path
from tabsync.ledger.tables import delivery
from tabsync.manual.load import read
from tabsync.manual.people import Contact
from tabsync.monitoring.alerts.episode import NOTICES, Episode, Seen, inhibited
from tabsync.monitoring.alerts.keep import keep, open_episodes
from tabsync.monitoring.alerts.silences import silence_of, silences, window_of, windows
from tabsync.monitoring.notify.link import GOOD_FOR, link_for
from tabsync.monitoring.notify.message import Part, id_of, subject_of, text_of
from tabsync.monitoring.notify.notices import due_notices
from tabsync.monitoring.notify.send import MAIL_TIMEOUT, Sent, send
from tabsync.monitoring.notify.try_out import address_of
from tabsync.monitoring.notify.who import REMINDER, due_messages
from tabsync.postgres.conninfo import place
from tabsync.service.channels import SUBJECT, condition_of, not_used
from tabsync.service.lease import Lease, LostLease
from tabsync.service.message_rows import as_told, fitting, message_row, thread_of
from tabsync.system.parent import is_orphan
from tabsync.workspace import Workspace

_RENEW = 5.0  # seconds between two renewals of the lease
_LOOK = 5.0  # seconds until the ledger is read again although nobody has written it
_LOOK_AT_SERVER = 1.0  # the same of a ledger on a server, which has no file to look at
_GAP = 2.0  # seconds between two messages to one contact: what comes meanwhile goes into one
_BACK_OFF = (10, 30, 60, 120, 300, 900)  # seconds until a channel that failed is tried again
_GIVE_UP = 100  # tries, which take a day
_LATELY = timedelta(days=8)  # however long nobody told: whoever heard that it began hears that it has ended
_PEOPLE = 64  # to whom messages are on their way at the same time: one that gets no answer delays nobody else
_PATIENCE = MAIL_TIMEOUT + 3  # seconds at the end for what is on its way
_FAILED = (SQLAlchemyError, TabsyncError, OSError)


@dataclass(slots=True)
class Notifier:
    """Tells people for a workspace. say: where a person reads what is wrong; stopping: set to end it."""

    workspace: Workspace
    name: str
    here: tzinfo
    say: Callable[[str], None] = lambda _line: None
    stopping: Event = field(default_factory=Event)
    _lease: Lease = field(init=False)
    _pool: ThreadPoolExecutor = field(init=False)
    _contacts: tuple[Contact, ...] = ()
    _is_half: bool = False  # those of a manual that is not valid: some may be missing
    _stamp: tuple[int, int] | None = None
    _on_way: dict[str, tuple[Future[Sent], list[Facts]]] = field(default_factory=dict)
    _last: dict[str, float] = field(default_factory=dict)
    _holding: bool = False
    _renew_at: float = 0.0
    _look_at: float = 0.0
    _ledger_stamp: tuple[int, ...] | None = None
    _said: str = ""

    def __post_init__(self) -> None:
        holder = f"{self.name}/{socket.gethostname()}/{os.getpid()}/{iso(now())}"
        self._lease = Lease(self.workspace.ledger(), holder, self.workspace.home, "notifier")
        self._pool = ThreadPoolExecutor(_PEOPLE, "notifier")

    def run(self, pause: float = 0.5) -> None:
        """Tell until `stopping` is set, or the `serve` that keeps this process is gone."""
        while not self.stopping.is_set() and not is_orphan():
            self.step()
            if self._on_way:  # written down as soon as it was taken: killed in between, it would be sent twice
                wait([future for future, _ in self._on_way.values()], pause, FIRST_COMPLETED)
            else:
                self.stopping.wait(pause)
        self.end()

    def step(self) -> None:
        """Make the messages that are due, send what waits; a failing ledger is told, never raised."""
        try:
            if not self._take():
                return
            self._follow()
            self._finish()
            if self._is_time():
                self._make()
                self._send()
                self._note("")
        except LostLease:
            self._holding, self._renew_at = False, 0.0
        except _FAILED as error:
            self._note(error.fact if isinstance(error, TabsyncError) else words_of(error))

    def end(self, patience: float = _PATIENCE) -> None:
        """Let what is on its way arrive, then give the lease up. patience: seconds."""
        until = time.monotonic() + patience
        while self._on_way and time.monotonic() < until:
            with suppress(*_FAILED):
                self._finish()
            time.sleep(0.05)
        self._pool.shutdown(wait=False, cancel_futures=True)
        with suppress(*_FAILED):
            self._lease.release()

    def _take(self) -> bool:
        moment = time.monotonic()
        if self._holding and moment < self._renew_at:
            return True
        self._holding = self._lease.take()
        self._renew_at = moment + _RENEW
        if not self._holding:
            self._note("another process tells: this one stands by")
        return self._holding

    def _follow(self) -> None:
        """The contacts of the manual, as it was when it could last be followed."""
        path = self.workspace.manual_path
        with suppress(OSError, TabsyncError):
            stat = path.stat()
            if (stamp := (stat.st_mtime_ns, stat.st_size)) != self._stamp:
                manual, problems = read(path)
                if not problems or not self._contacts:
                    self._contacts, self._is_half = manual.contacts, bool(problems)
                self._stamp = stamp

    def _is_time(self) -> bool:
        """Whether to look: the ledger was written, or it is time. Looking at a file costs less than reading it."""
        moment, path = time.monotonic(), sqlite_path(self.workspace.ledger().url)
        stamp = _stamp_of(path) if path else None
        if stamp == self._ledger_stamp and moment < self._look_at and path is not None and not self._on_way:
            return False
        if path is None and moment < self._look_at:
            return False
        self._ledger_stamp = stamp
        self._look_at = moment + (_LOOK if path else _LOOK_AT_SERVER)
        return True

    def _make(self) -> None:
        """Write down the messages that are to be made now, and which of them are withheld."""
        ledger, moment = self.workspace.ledger(), now()
        episodes = open_episodes(ledger, moment - _LATELY)
        rows = ledger.read("deliveries_since", since=iso(moment - _LATELY))
        quiet, expected = silences(ledger, moment), windows(ledger, moment)

        def reason(one: Episode) -> str:
            if silence := silence_of(one, quiet):
                return f"silenced by {silence.owner}: {silence.reason}"
            window = window_of(one, expected, moment)
            return f"in the window {window.id} of {window.owner}: {window.reason}" if window else ""

        fresh, freed = [], []
        for one in episodes:
            mine = [each for each in rows if each["episode"] == one.id]
            if one.key.kind in NOTICES:
                made = due_notices(one, [as_told(each) for each in mine], self._contacts, moment, self.here)
                fresh += [message_row(one, due, moment) for due in made]
                continue
            withheld = reason(one) if one.is_open else ""
            if inhibited(one, episodes) is not None and (one.is_open or not mine):
                continue  # but whoever heard that it began hears that it has ended
            if not withheld and one.is_open and not one.is_acknowledged:
                freed += [each["id"] for each in mine if each["state"] == "withheld"]
            for due in due_messages(one, [as_told(each) for each in mine], self._contacts, moment, self.here):
                if withheld and due.event.startswith(REMINDER):
                    continue  # when it is no longer withheld, one of them is enough
                fresh.append(message_row(one, due, moment, withheld))
        if fresh or freed:
            with ledger.writing() as connection:
                self._lease.check(connection)
                if fresh:
                    connection.execute(insert(delivery), fresh)
                if freed:
                    waits = {"state": "waiting", "created_at": iso(moment), "due_at": iso(moment), "fact": ""}
                    connection.execute(update(delivery).where(delivery.c.id.in_(freed)).values(**waits))
        if not self._is_half:
            self._take_in(not_used(episodes, self._contacts))

    def _send(self) -> None:
        """Send what is due, to each contact at most one message at a time."""
        ledger, moment = self.workspace.ledger(), now()
        rows = ledger.read("deliveries_since", since=iso(moment - _LATELY))
        going = {row["id"] for _, some in self._on_way.values() for row in some}
        latest = iso(moment + timedelta(seconds=max(_BACK_OFF)))  # later than that only after the clock was set back
        left: dict[str, list[Facts]] = {}  # by a process that died while they were on their way
        ready: dict[str, list[Facts]] = {}
        for row in rows:
            if row["state"] == "sending" and row["id"] not in going:
                left.setdefault(row["contact"], []).append(row)
            elif row["state"] == "waiting" and not iso(moment) < row["due_at"] <= latest:
                ready.setdefault(row["contact"], []).append(row)
        for contact, some in (ready | left).items():  # what may have arrived goes again as it went, under the same id
            busy = contact in self._on_way or time.monotonic() - self._last.get(contact, -_GAP) < _GAP
            if not busy:
                self._begin(contact, fitting(contact, some))
            self._look_at = 0.0  # what waits, and what there was no room for, is looked at again

    def _begin(self, role: str, rows: list[Facts]) -> None:
        """Send one contact all that is due, in one message."""
        contact = next((one for one in self._contacts if one.role == role), None)
        channel = contact.by if contact else ""
        address, trouble = address_of(self.workspace, channel)
        with self.workspace.ledger().writing() as connection:
            self._lease.check(connection)
            mine = update(delivery).where(delivery.c.id.in_([row["id"] for row in rows]))
            if contact is None or not channel:
                told = "the manual has no such contact any more" if contact is None else "the manual names no channel"
                connection.execute(mine.values(state="given up", fact=told))
                return
            connection.execute(mine.values(state="sending", tries=delivery.c.tries + 1, channel=channel))
        self._last[role] = time.monotonic()
        rows = [row | {"channel": channel} for row in rows]
        if trouble:
            self._settle(rows, Sent(trouble))
            return
        parts = self._parts(rows, role)
        name = self.workspace.name or place(self.workspace.conninfo)
        subject, text = subject_of(parts, name), text_of(parts, name, self.here, now())
        ids = ", ".join(one.id for one in parts)
        thread = thread_of([one.episode for one in parts], role, incidents(self.workspace))
        sending = self._pool.submit(send, address, contact.address, subject, text, ids, thread=thread)
        self._on_way[role] = (sending, rows)

    def _parts(self, rows: Sequence[Facts], role: str) -> list[Part]:
        episodes = {one.id: one for one in open_episodes(self.workspace.ledger(), now() - _LATELY)}
        until = now() + GOOD_FOR
        home, url = self.workspace.home, self.workspace.public_url
        return [
            Part(
                episodes[row["episode"]],
                row["event"],
                id_of(row["episode"], role, row["event"]),
                link_for(home, url, row["episode"], role, until),
                url,
            )
            for row in rows
            if row["episode"] in episodes
        ]

    def _finish(self) -> None:
        """Write down what came of the messages that were on their way."""
        for role, (future, rows) in [*self._on_way.items()]:
            if future.done():
                self._settle(rows, future.result())
                del self._on_way[role]

    def _settle(self, rows: Sequence[Facts], sent: Sent) -> None:
        moment = now()
        with self.workspace.ledger().writing() as connection:
            for row in rows:
                mine = update(delivery).where(delivery.c.id == row["id"])
                if sent.ok:
                    connection.execute(mine.values(state="sent", sent_at=iso(moment), fact=""))
                    continue
                again = iso(moment + timedelta(seconds=_BACK_OFF[min(row["tries"], len(_BACK_OFF) - 1)]))
                state = "given up" if row["tries"] + 1 >= _GIVE_UP else "waiting"
                # Not what another process, which holds the lease by now, sends at this moment or has sent.
                mine = mine.where(delivery.c.state == "sending", delivery.c.tries == row["tries"] + 1)
                connection.execute(mine.values(state=state, due_at=again, fact=sent.fact))
            if sent.ok:  # what waits because it failed before needn't wait any longer
                rest = update(delivery).where(delivery.c.contact == rows[0]["contact"], delivery.c.state == "waiting")
                rest = rest.where(delivery.c.channel == rows[0]["channel"], delivery.c.due_at > iso(moment))
                connection.execute(rest.values(due_at=iso(moment)))
        self._take_in([*condition_of(rows, sent, self._contacts)])

    def _take_in(self, seen: Sequence[Seen]) -> None:
        if seen:
            keep(self.workspace.ledger(), SUBJECT, seen, self._lease.check)

    def _note(self, fact: str) -> None:
        if fact != self._said:
            self._said = fact
            self.say(fact or "in order again")


def _stamp_of(path: Path) -> tuple[int, ...]:
    found: list[int] = []
    for one in (path, Path(f"{path}-wal")):
        with suppress(OSError):
            stat = one.stat()
            found += [stat.st_mtime_ns, stat.st_size]
    return tuple(found)
