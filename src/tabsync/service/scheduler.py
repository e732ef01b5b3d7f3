"""The scheduler: it starts what is due, each as a process of its own, and records how it ended.

It holds nothing in memory that matters: what was started is in the ledger before it runs, and how it ended is in the
job's directory. Killed at any moment, the next one takes up from there. A started occurrence is a row whose key is the
item and its time, so nothing is started twice, whatever the clock does.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from threading import Event

from sqlalchemy import insert, update
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from tabsync.kernel.clock import iso, now, parse_iso
from tabsync.kernel.errors import TabsyncError, words_of
from tabsync.kernel.step import Facts
from tabsync.ledger.tables import occurrence, service
from tabsync.manual.model import Manual
from tabsync.schedule.expected import Occurrence, Version
from tabsync.schedule.items import Item
from tabsync.schedule.judge import Record
from tabsync.schedule.newest import span_of
from tabsync.schedule.record import put_in_force, records, subject_of_workspace, versions
from tabsync.service import jobs
from tabsync.service.due import LOOK, Start, due_now, next_look, startable, waits_for_a_backup
from tabsync.service.lease import Lease, LostLease
from tabsync.service.watched import Watched
from tabsync.system.claims import is_claimed
from tabsync.workspace import Workspace

BEAT = 30.0
"""Seconds between two signs of life."""

AT_ONCE = 2
"""How many runs of the schedule go at the same time, where tabsync.toml doesn't say."""

_RENEW = 5.0  # seconds between two renewals of the lease
_GRACE = 30.0  # seconds for a run that was asked to end
_BACK_OFF = (30, 60, 120, 300, 600, 900)  # seconds until a run is tried again
_log = logging.getLogger("tabsync.scheduler")

Said = Callable[[str], None]


@dataclass(slots=True)
class Scheduler:
    """Keeps the schedule of a workspace. name: of this service; an item may be `on` it; here: this machine's zone."""

    workspace: Workspace
    name: str
    here: tzinfo
    at_once: int = AT_ONCE
    say: Said = lambda _line: None
    stopping: Event = field(default_factory=Event)
    _lease: Lease | None = None
    _manual: Manual | None = None
    _seen: tuple[int, int] | None = None
    _trouble: Facts = field(default_factory=dict)
    _started: str = ""
    _look_at: datetime | None = None
    _last: datetime | None = None
    _woken: int = 0
    _asked: dict[str, float] = field(default_factory=dict)
    _next_beat: float = 0.0
    _next_renewal: float = 0.0
    _watched: dict[str, Watched] = field(default_factory=dict)
    _subject_due: float = 0.0

    @property
    def place(self) -> Path:
        """Where its jobs are."""
        return self.workspace.home / "scheduled"

    def run(self, pause: float = 1.0) -> None:
        """Keep the schedule until `stopping` is set."""
        parent = os.getppid()
        while not self.stopping.is_set() and os.getppid() == parent:
            self.step()
            self.stopping.wait(pause)
        self.end()

    def once(self, pause: float = 0.2) -> int:
        """Do what is due now, wait until it has ended; returns how many runs that were."""
        count = 0
        while not self.stopping.is_set():
            count += self.step()
            if self.is_keeping and not self.running() and not self._due():
                break
            if not self.is_keeping:
                self.stopping.wait(1.0)
            self.stopping.wait(pause)
        self.end()
        return count

    @property
    def is_keeping(self) -> bool:
        """Whether it is this service that keeps the schedule, and not another."""
        return self._lease is not None and self._next_renewal > 0

    def step(self) -> int:
        """One look: end what ended, start what is due. Returns how many were started; a failing ledger is told."""
        try:
            if not self._take():
                return 0
            self._read_manual()
            self._finish()
            started = self._start_due() if self._is_time() else 0
            self._watch()
            self._beat()
        except LostLease:
            self._next_renewal = 0
            return 0
        except (SQLAlchemyError, TabsyncError, OSError) as error:
            # The ledger is locked, or its disk is full: nothing is started that could not be recorded.
            self._note("ledger", f"the ledger failed: {words_of(error)}")
            return 0
        self._note("ledger", "")
        return started

    def _take(self) -> bool:
        moment = time.monotonic()
        if self._lease is None:
            holder = f"{self.name}/{socket.gethostname()}/{os.getpid()}/{iso(now())}"
            self._lease = Lease(self.workspace.ledger(), holder, self.workspace.home)
            self._started = iso(now())
        if moment < self._next_renewal:
            return True
        if not self._lease.take():
            if self._next_renewal or not self._trouble.get("standby"):
                self._note("standby", "another service keeps the schedule: this one stands by")
            self._next_renewal = 0
            return False
        if not self._next_renewal:
            self._note("standby", "")
            self._look_at = None
        self._next_renewal = moment + _RENEW
        return True

    def _read_manual(self) -> None:
        """Follow the manual as it is now; while it can't be followed, as it was when it last could."""
        path = self.workspace.manual_path
        try:
            stat = path.stat()
            seen = (stat.st_mtime_ns, stat.st_size)
        except OSError as error:
            self._note("manual", f"the manual can't be read: {error.strerror}")
            self._seen = None
            return
        unknown = self._manual is not None and not self._subject and time.monotonic() >= self._subject_due
        if seen == self._seen and not unknown:
            return
        from tabsync.manual.load import read

        try:
            manual, problems = read(path)
        except TabsyncError as error:
            self._note("manual", error.fact)
            self._seen = seen
            return
        self._seen = seen
        if problems:
            self._note("manual", f"the manual is not valid: {problems[0].described(path.name)}")
            if self._manual is not None or versions(self.workspace.ledger()):
                self._manual = self._manual or manual
                return
        else:
            self._note("manual", "")
        self._manual = manual
        self._subject_due = time.monotonic() + 60
        if put_in_force(self.workspace.ledger(), manual, subject_of_workspace(self.workspace)):
            self.say("the schedule of the manual is in force")
        self._look_at = None

    @property
    def _subject(self) -> str:
        found = versions(self.workspace.ledger())
        return found[-1].subject if found else ""

    def _is_time(self) -> bool:
        """Whether to look for what is due: it is time, somebody asked for it, or the clock was set."""
        moment = now()
        jumped = self._last is not None and not timedelta(seconds=-1) < moment - self._last < timedelta(minutes=1)
        self._last = moment
        woken = _mtime(self.workspace.home / "wake")
        asked = woken != self._woken
        self._woken = woken
        return self._look_at is None or jumped or asked or moment >= self._look_at

    def _known(self) -> tuple[list[Version], dict[str, Record]]:
        found = versions(self.workspace.ledger())
        items = [one for one in (found[-1].items if found else ()) if startable(one)]
        since = now() - max((span_of(one) for one in items), default=LOOK)
        manual = self._manual or Manual()
        known: dict[str, Record] = {}
        for span in {span_of(one) for one in items}:
            group = [one for one in items if span_of(one) == span]
            known |= records(self.workspace.ledger(), group, manual, found[-1].subject, max(since, now() - span))
        return found, known

    def _due(self) -> Sequence[Start]:
        found, known = self._known()
        return due_now(found, known, now(), self.here, (self.name,))

    def _start_due(self) -> int:
        found, known = self._known()
        moment = now()
        due = due_now(found, known, moment, self.here, (self.name,))
        running = {row["item"] for row in self.workspace.ledger().read("open_occurrences")}
        started, left = 0, False
        for one in due:
            item = one.occurrence.item
            if item.key in running or is_claimed(self.place / f"by-hand-{item.name}"):
                continue
            if waits_for_a_backup(item, running):
                continue  # it is looked at again when something has ended
            if len(running) >= self.at_once:
                left = True
                break
            if self._start(one, found[-1].subject):
                running.add(item.key)
                started += 1
        self._look_at = moment if left else next_look(found, known, moment, self.here)
        return started

    def _start(self, start: Start, subject: str) -> bool:
        """Put an occurrence on record and start its process; False when somebody else has started it."""
        item, due = start.occurrence.item, start.occurrence.due
        directory = self.place / f"{item.name}-{due.strftime('%Y%m%dT%H%M%S%f')}"
        try:
            held = jobs.new_job(directory, job_of(item, start.occurrence, subject))
        except FileExistsError:
            return False
        try:
            fresh = self._record_start(start, directory)
        except BaseException:
            held.remove()
            raise
        if not fresh:
            held.release()
            return False
        jobs.begin(directory, held, environment_of(self.workspace, item))
        late = " (it was missed: one run for all)" if start.catch_up else ""
        self.say(f"started {item.name}, due {due.astimezone(self.here):%Y-%m-%d %H:%M:%S}{late}")
        return True

    def _record_start(self, start: Start, directory: Path) -> bool:
        one, moment = start.occurrence, now()
        values = {
            "state": "running",
            "service": self.name,
            "host": socket.gethostname(),
            "fence": self._lease.fence if self._lease else 0,
            "directory": directory.name,
            "started_at": iso(moment),
            "limit_at": iso(moment + timedelta(seconds=one.item.limit)),
            "ended_at": None,
            "exit": None,
            "retry_at": None,
            "fact": "",
            "run_id": "",
            "output": "",
        }
        key = {"item": one.item.key, "due": iso(one.due)}
        try:
            with self.workspace.ledger().engine.begin() as connection:
                if self._lease is not None:
                    self._lease.check(connection)
                if not start.again:
                    connection.execute(insert(occurrence), [key | values | {"tries": 1}])
                    return True
                mine = (occurrence.c.item == key["item"]) & (occurrence.c.due == key["due"])
                idle = mine & (occurrence.c.state != "running")
                again = update(occurrence).where(idle).values(**values, tries=occurrence.c.tries + 1)
                return bool(connection.execute(again).rowcount)
        except IntegrityError:
            return False

    def _finish(self) -> None:
        """Record how the runs of this machine ended, and end those that take too long."""
        for row in self.workspace.ledger().read("open_occurrences"):
            if row["host"] != socket.gethostname():
                self._give_up(row)
                continue
            directory = self.place / row["directory"]
            ended = jobs.look(directory)
            if ended is not None:
                self._record_end(row, ended)
            elif now() > parse_iso(row["limit_at"]):
                self._end_late(directory)

    def _give_up(self, row: Facts) -> None:
        """A run of a machine that is silent is unknown until its time limit is over; then nobody waits for it."""
        if now() <= parse_iso(row["limit_at"]):
            return
        told = f"nothing was heard of it from {row['host']}"
        self._record_end(row, jobs.Ended(None, told, None))

    def _end_late(self, directory: Path) -> None:
        asked = self._asked.get(directory.name)
        if asked is None:
            self._asked[directory.name] = time.monotonic()
            jobs.interrupt(directory)
        elif time.monotonic() - asked > _GRACE:
            jobs.kill(directory)
            if not (directory / "exit.json").exists():
                told = "it took too long, ignored the request to end, and was killed"
                jobs.write_exit(directory, {"exit": 137, "fact": told, "again": False, "at": iso(now())})

    def _record_end(self, row: Facts, ended: jobs.Ended) -> None:
        directory = self.place / row["directory"]
        moment = ended.at or now()
        late = self._asked.pop(directory.name, None) is not None
        fact = "it took too long and was ended" if late and ended.exit == 130 else ended.fact
        values: Facts = {
            "state": "waits for approval" if ended.approval else "ended" if ended.exit is not None else "died",
            "ended_at": iso(moment),
            "exit": ended.exit,
            "fact": fact,
            "run_id": jobs.run_of(directory),
            "output": jobs.output_of(directory),
            "retry_at": self._retry_at(row, ended, moment),
        }
        mine = (occurrence.c.item == row["item"]) & (occurrence.c.due == row["due"])
        with self.workspace.ledger().engine.begin() as connection:
            connection.execute(update(occurrence).where(mine, occurrence.c.state == "running").values(**values))
        jobs.remove(directory)
        self._look_at = None
        told = fact or ("done" if ended.exit == 0 else f"exit code {ended.exit}")
        self.say(f"ended {row['item']}: {told}")

    def _retry_at(self, row: Facts, ended: jobs.Ended, moment: datetime) -> str | None:
        """When it is tried again: what could not reach a server, within the item's window; nothing else."""
        if not ended.begun:
            return iso(moment)
        item = next((one for one in self._items() if one.key == row["item"]), None)
        if item is None or ended.exit == 0:
            return None
        allowed = item.terms.retry
        if not (ended.again or (allowed and ended.exit is None)) or (allowed is not None and row["tries"] > allowed):
            return None
        again = moment + timedelta(seconds=_BACK_OFF[min(row["tries"], len(_BACK_OFF)) - 1])
        if item.when.kind == "every":
            again = moment + timedelta(seconds=min(5, item.when.seconds))
        due, started = parse_iso(row["due"]), parse_iso(row["started_at"])
        begun = max(due, started - timedelta(seconds=sum(_BACK_OFF[: row["tries"] - 1])))
        return iso(again) if again < begun + timedelta(seconds=item.window) else None

    def _items(self) -> Sequence[Item]:
        found = versions(self.workspace.ledger())
        return found[-1].items if found else ()

    def _watch(self) -> None:
        """Keep what never ends running: what stands under Continuously, once it is approved."""
        wanted = {one.name: one for one in self._items() if one.when.kind == "continuous" and one.words and one.built}
        if not wanted and not self._watched:
            return
        known = records(self.workspace.ledger(), wanted.values(), Manual(), "", now()) if wanted else {}
        for name, item in wanted.items():
            approved = not item.approval or known[item.key].approved(item, now()) is not None
            if approved and item.terms.on in ("", self.name):
                watched = self._watched.setdefault(name, Watched(self.place / f"continuous-{name}"))
                watched.keep(job_of(item, None, ""), environment_of(self.workspace, item), self.say)
        for name in [*self._watched]:
            if name not in wanted:
                self._watched.pop(name).end()

    def _beat(self) -> None:
        moment = time.monotonic()
        if moment < self._next_beat:
            return
        self._next_beat = moment + BEAT
        row = {
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "started_at": self._started,
            "beat_at": iso(now()),
            "facts": {key: value for key, value in self._trouble.items() if value},
        }
        with self.workspace.ledger().engine.begin() as connection:
            mine = update(service).where(service.c.name == self.name).values(**row)
            if not connection.execute(mine).rowcount:
                connection.execute(insert(service), [row | {"name": self.name}])

    def _note(self, what: str, trouble: str) -> None:
        """Note, and say once, what is wrong; "" when it is in order again."""
        known = self._trouble.get(what)
        if trouble == (known["fact"] if known else ""):
            return
        self._trouble[what] = {"fact": trouble, "since": iso(now())} if trouble else None
        self.say(trouble or f"{what}: in order again")
        self._next_beat = 0.0

    def running(self) -> Sequence[Facts]:
        """The runs of this machine that are under way."""
        rows = self.workspace.ledger().read("open_occurrences")
        return [row for row in rows if row["host"] == socket.gethostname()]

    def end(self, patience: float = 60.0) -> None:
        """Let what runs end, then interrupt it, then give the lease up."""
        try:
            if self.is_keeping:
                self._end_jobs(patience)
        except (SQLAlchemyError, TabsyncError, OSError) as error:
            self.say(f"could not record how the runs ended: {words_of(error)}")
        if self.is_keeping:
            self._note("stopped", "the scheduler was stopped")
            with suppress(SQLAlchemyError, TabsyncError, OSError):
                self._beat()
        if self._lease is not None:
            with suppress(SQLAlchemyError, TabsyncError):  # it runs out by itself
                self._lease.release()
        self._next_renewal = 0

    def _end_jobs(self, patience: float) -> None:
        for watched in self._watched.values():
            watched.end()
        asked, until = False, time.monotonic() + patience
        while self.running():
            self._finish()
            if time.monotonic() > until:
                if asked:
                    break
                asked, until = True, time.monotonic() + _GRACE
                for row in self.running():
                    self.say(f"interrupting {row['item']}")
                    jobs.interrupt(self.place / row["directory"])
            time.sleep(0.2)
        for row in self.running():
            jobs.kill(self.place / row["directory"])
        self._finish()


def job_of(item: Item, one: Occurrence | None, subject: str) -> Facts:
    """What the process of an item's run has to know. subject: of the database, for its evidence."""
    words = list(item.words)
    if item.approval and "--apply" in words:
        words.append("--yes")
    return {
        "item": item.key,
        "words": words,
        "due": iso(one.due) if one else "",
        "subject": subject,
        "evidence": item.evidence,
    }


def environment_of(workspace: Workspace, item: Item) -> dict[str, str]:
    """What the process of an item's run finds the same workspace by; a connection string may hold a password."""
    given = {"TABSYNC_ACTOR": "schedule", "TABSYNC_HOME": str(workspace.home)}
    if workspace.config_path:
        given["TABSYNC_CONFIG"] = str(workspace.config_path)
    else:
        given["TABSYNC_DATABASE"] = workspace.conninfo
    if workspace.store_url or not workspace.config_path:
        given["TABSYNC_STORE"] = workspace.store_url or str(workspace.store_root)
    if item.approval:
        given["TABSYNC_APPROVAL"] = "schedule approve"
    return given


def _mtime(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0
