"""The collector: it measures what the manual names, keeps what it measured, and lets what is wrong become an alert.

It holds nothing in memory that matters: open episodes are in the ledger, and while it was dead nothing was measured. So
it ends nothing by being away, and begins nothing anew.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Event

import psycopg
from sqlalchemy.exc import SQLAlchemyError

from tabsync.incidents.joining import acknowledge, join
from tabsync.incidents.told import conditions_of_incidents
from tabsync.kernel.clock import iso, now
from tabsync.kernel.errors import CannotConnect, Refused, TabsyncError, words_of
from tabsync.kernel.step import Facts
from tabsync.manual.load import read
from tabsync.manual.model import Manual, Metric
from tabsync.monitoring.alerts.episode import Episode, Key, Seen
from tabsync.monitoring.alerts.keep import keep, of_subject, open_episodes
from tabsync.monitoring.alerts.rules import DOWN, conditions, left_over, worse_only
from tabsync.monitoring.collect.session import Watching
from tabsync.monitoring.measure import Reading, with_limits
from tabsync.postgres.conninfo import answers, place
from tabsync.procedures.sources import COLLECTOR, Beside, known_to_us
from tabsync.schedule.evidence import UNTOLD
from tabsync.schedule.look import look
from tabsync.schedule.record import ask_subject, known_subject
from tabsync.service.items import conditions_of_items
from tabsync.service.lease import Lease, LostLease
from tabsync.service.memory import Memory
from tabsync.service.notices import Notices
from tabsync.service.spent import Spent
from tabsync.system.parent import is_orphan
from tabsync.workspace import Workspace

_RENEW = 5.0  # seconds between two renewals of the lease
_ITEMS = 30.0  # seconds between two looks at the schedule
_ASK = 60.0  # seconds until the database is asked again which one it is
_AROUND = 30.0  # seconds between two looks at who is logged in
_DEADLINE = 10.0  # seconds for one round of measuring, at most
_AGAIN = (1.0, 2.0, 5.0, 10.0, 15.0)  # seconds until it is tried again to connect
_FAILED = (SQLAlchemyError, TabsyncError, OSError)

DATABASE = Key("down", "Database")
"""That the database doesn't answer."""

NOT_LET_IN = Key("down", "Access")
"""That it answers, and doesn't let the collector in."""


@dataclass(slots=True)
class Collector:
    """Measures for a workspace. say: where a person reads what is wrong; stopping: set to end it."""

    workspace: Workspace
    name: str
    say: Callable[[str], None] = lambda _line: None
    stopping: Event = field(default_factory=Event)
    _lease: Lease = field(init=False)
    _manual: Manual | None = None
    _is_half: bool = False  # what could be read of a manual that is not valid: it lacks rows, and bounds of rows
    _stamp: tuple[int, int] | None = None
    _session: Watching | None = None
    _kept: Memory = field(init=False)
    _beside: Beside = field(init=False)
    _notices: Notices = field(init=False)
    _next: dict[str, float] = field(default_factory=dict)
    _missed: set[str] = field(default_factory=set)
    _slow: dict[str, float] = field(default_factory=dict)
    _tries: int = 0
    _connect_at: float = 0.0
    _renew_at: float = 0.0
    _items_at: float = 0.0
    _holding: bool = False
    _whose: str = ""
    _ask_at: float = 0.0
    _around_at: float = 0.0
    _said: dict[str, str] = field(default_factory=dict)
    _spent: Spent = field(default_factory=Spent)

    def __post_init__(self) -> None:
        holder = f"{self.name}/{socket.gethostname()}/{os.getpid()}/{iso(now())}"
        self._lease = Lease(self.workspace.ledger(), holder, self.workspace.home, "collector")
        self._kept = Memory(self.workspace)
        self._beside = Beside(self.workspace, lambda: self._session)
        self._notices = Notices(self.workspace, self._lease.check)

    def run(self, pause: float = 0.5) -> None:
        """Collect until `stopping` is set, or the `serve` that keeps this process is gone."""
        while not self.stopping.is_set() and not is_orphan():
            self.step()
            self.stopping.wait(pause)
        self.end()

    def step(self) -> Sequence[Reading]:
        """Measure what is due now, and take in what that says; a failing ledger or database is told, never raised."""
        try:
            if not self._take() or not self._follow():
                return ()
            readings = self._measure()
            self._take_in(readings)
            if readings:  # where there was nothing to write, nothing is known of whether it could be written
                self._note("ledger", "")
        except LostLease:
            self._holding, self._renew_at = False, 0.0
            return ()
        except _FAILED as error:
            self._note("ledger", error.fact if isinstance(error, TabsyncError) else words_of(error))
            return ()
        return readings

    def end(self) -> None:
        """Let go of the database and of the lease."""
        self._disconnect()
        self._kept.close()
        with suppress(*_FAILED):
            self._lease.release()

    def _take(self) -> bool:
        moment = time.monotonic()
        if self._holding and moment < self._renew_at:
            return True
        self._holding = self._lease.take()
        self._renew_at = moment + _RENEW
        self._note("standby", "" if self._holding else "another process collects: this one stands by")
        return self._holding

    def _follow(self) -> Manual | None:
        """The manual as the file is now; while that can't be followed, as it was when it last could."""
        path = self.workspace.manual_path
        try:
            stat = path.stat()
            if (stamp := (stat.st_mtime_ns, stat.st_size)) != self._stamp:
                manual, problems = read(path)
                self._stamp = stamp
                self._note("manual", f"the manual is not valid: {problems[0].described(path.name)}" if problems else "")
                if not problems or self._manual is None:
                    self._manual, self._is_half = manual, bool(problems)
        except (OSError, TabsyncError) as error:
            self._note("manual", error.fact if isinstance(error, TabsyncError) else f"the manual: {words_of(error)}")
            self._stamp = None
        return self._manual

    def _due(self, manual: Manual) -> list[Metric]:
        moment = time.monotonic()
        found = [one for one in manual.metrics if moment >= self._next.get(one.title.lower(), 0.0)]
        for one in found:
            every = one.every.total_seconds()
            planned = self._next.get(one.title.lower(), moment) + every
            self._next[one.title.lower()] = planned if planned > moment else moment + every
        return found

    def _measure(self) -> list[Reading]:
        manual = self._manual or Manual()
        due = self._due(manual)
        queries = [one for one in due if one.sql]
        readings = self._scrape(manual, queries) if queries else []
        own = [one for one in due if one.source]
        return readings + (known_to_us(self._beside, manual, own, self._subject(), self._known(own)) if own else [])

    def _known(self, metrics: Sequence[Metric]) -> dict[str, Facts]:
        """What only the collector knows: how much of the server's time it takes itself."""
        every = [one.every.total_seconds() for one in metrics if one.source == COLLECTOR]
        return {COLLECTOR: self._spent.share(self._session, min(every))} if every else {}

    def _scrape(self, manual: Manual, metrics: Sequence[Metric]) -> list[Reading]:
        session = self._connected()
        if session is None:
            self._kept.unmeasured([one.title for one in metrics], self._said.get("database", ""))
            self._missed |= {one.title.lower() for one in metrics}
            return []
        most = min((one.every.total_seconds() for one in metrics), default=_DEADLINE)
        found = session.scrape(metrics, manual, min(_DEADLINE, most))
        found = with_limits(found, manual, self._beside.limits(metrics))
        if time.monotonic() >= self._around_at and not session.lost:
            self._around_at = time.monotonic() + _AROUND
            with suppress(psycopg.Error):
                self._kept.around(session.around(self._kept.looked_around()))
        if session.lost:
            self._disconnect()
        return found

    def _connected(self) -> Watching | None:
        """The kept session; None while there is none, which is itself taken in."""
        if self._session is not None and not self._session.lost:
            return self._session
        if time.monotonic() < self._connect_at:
            return None
        try:
            self._session = Watching.open(self.workspace, self._slow)
        except (CannotConnect, Refused) as error:
            self._connect_at = time.monotonic() + _AGAIN[min(self._tries, len(_AGAIN) - 1)]
            self._tries += 1
            self._note("database", error.fact)
            return None
        self._tries, self._connect_at = 0, 0.0
        for title in self._missed:  # what is measured every hour doesn't stay unknown for another one
            self._next.pop(title, None)
        self._missed.clear()
        self._note("database", "")
        return self._session

    def _disconnect(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            self._spent.ends(session)
            with suppress(psycopg.Error):
                session.close()

    def _take_in(self, readings: Sequence[Reading]) -> None:
        before = self._kept.measured()
        seen = [*self._of_metrics(readings, before), *self._of_items(), *self._kept.keep(readings)]
        if seen:
            keep(self.workspace.ledger(), self._subject(), seen, self._lease.check)
        if any(one.level == "critical" for one in seen):
            join(self.workspace, self._open())
        self._notices.see(readings, before, self._kept.labels())
        self._notices.say_hidden(self._manual or Manual(), self._session)
        for words in self._kept.said():
            self.say(words)

    def _of_metrics(self, readings: Sequence[Reading], before: Collection[str]) -> Iterator[Seen]:
        yield from self._of_database(readings)
        held = {one.key: one for one in self._open()}
        manual = self._manual or Manual()
        for reading in readings:
            for seen in conditions(reading, manual, held, before, self._kept.labels()):
                yield worse_only(seen, held.get(seen.key)) if self._is_half else seen
        if readings and not self._is_half:
            yield from left_over(manual, held, now())

    def _of_database(self, readings: Sequence[Reading]) -> Iterator[Seen]:
        """Whether it answers: by a fresh measurement of it, or by the attempt to connect that failed."""
        fact, moment = self._said.get("database", ""), now()
        if fact and self._tries:
            key = NOT_LET_IN if answers(self.workspace.conninfo) else DATABASE
            yield Seen(key, "critical", moment, hold=DOWN, facts=_facts_of_database(key, self.workspace, fact))
        elif any(one.samples and not one.error for one in readings):
            yield Seen(DATABASE, None, moment)
            yield Seen(NOT_LET_IN, None, moment)

    def _of_items(self) -> Iterator[Seen]:
        if time.monotonic() < self._items_at:
            return
        self._items_at = time.monotonic() + _ITEMS
        seen = look(self.workspace)
        now_open = {one.key: one for one in self._open()}
        yield from conditions_of_items(self.workspace, seen, now_open)
        if self._manual is not None:
            yield from conditions_of_incidents(self.workspace, self._manual, now_open, seen.now)
            acknowledge(self.workspace, now_open.values())
        self._notices.say_night(seen)

    def _open(self) -> list[Episode]:
        found = of_subject(open_episodes(self.workspace.ledger()), self._subject())
        return [one for one in found if not one.is_test]

    def _subject(self) -> str:
        """Of which database, "" while that isn't known."""
        if not self._whose and self._session is not None and time.monotonic() >= self._ask_at:
            self._ask_at = time.monotonic() + _ASK
            known = known_subject(self.workspace)
            self._whose = known if known not in ("", UNTOLD) else ask_subject(self.workspace)
        return self._whose

    def _note(self, what: str, fact: str) -> None:
        """Say once what is wrong, and once that it is in order again."""
        if fact == self._said.get(what, ""):
            return
        self._said[what] = fact
        self.say(fact or f"{what}: in order again")


def _facts_of_database(key: Key, workspace: Workspace, fact: str) -> Facts:
    if key is DATABASE:
        meaning, text = "Nothing that needs the database works.", "does not answer"
    else:
        meaning = "A server or a pooler answers there, and nothing of the database is known."
        text = "can't be measured: the collector is not let in"
    return {
        "metric": f"{place(workspace.conninfo)}",
        "text": text,
        "why": fact,
        "meaning": meaning,
        "action": "See whether the server runs, and whether it can be reached",
        "runbook": "Server doesn't answer",
    }
