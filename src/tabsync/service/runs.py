"""The runs of a service: on record before they begin, and how they ended, whoever started them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from pathlib import Path

from sqlalchemy import insert, update
from sqlalchemy.exc import IntegrityError

from tabsync.kernel.clock import iso, now, parse_iso
from tabsync.kernel.step import Facts
from tabsync.ledger.tables import occurrence
from tabsync.schedule.expected import Occurrence
from tabsync.schedule.items import Item
from tabsync.service import jobs
from tabsync.service.due import Start
from tabsync.service.heartbeat import EVERY, Heartbeat
from tabsync.service.lease import Lease
from tabsync.system.claims import is_claimed
from tabsync.workspace import Workspace

_GRACE = 30.0  # seconds for a run that was asked to end
_BACK_OFF = (30, 60, 120, 300, 600, 900)  # seconds until a run is tried again


@dataclass(slots=True)
class Runs:
    """The runs that a service starts and looks after.

    name: of the service; here: the zone in which it speaks; failed: the items whose last run did not end with 0.
    """

    workspace: Workspace
    name: str
    here: tzinfo
    heartbeat: Heartbeat
    say: Callable[[str], None]
    failed: set[str] = field(default_factory=set)
    _asked: dict[str, float] = field(default_factory=dict)
    _next_ping: float = 0.0

    @property
    def place(self) -> Path:
        """Where their directories are."""
        return self.workspace.home / "scheduled"

    def running(self) -> Sequence[Facts]:
        """Those of this home that are under way."""
        ledger = self.workspace.ledger()
        return [row for row in ledger.read("open_occurrences") if ledger.is_here(row["host"], row["home"])]

    def start(self, start: Start, subject: str, lease: Lease) -> bool:
        """Put an occurrence on record and start its process; False when somebody else has started it.

        Raises LostLease when another service keeps the schedule by now.
        """
        item, due = start.occurrence.item, start.occurrence.due
        directory = self.place / f"{item.name}-{due.strftime('%Y%m%dT%H%M%S%f')}"
        try:
            held = jobs.new_job(directory, job_of(item, start.occurrence, subject))
        except FileExistsError:
            return False
        try:
            fresh = self._record_start(start, directory, lease)
        except BaseException:
            held.remove()
            raise
        if not fresh:
            held.release()
            return False
        if is_claimed(jobs.by_hand(self.place, item.key)):
            # A person was faster: whoever claims looks at the record after it, and we look at claims after the record.
            held.release()  # its directory stays, as of what was never begun
            return False
        jobs.begin(directory, held, environment_of(self.workspace, item))
        self.heartbeat.ping("start")
        late = " (it was missed: one run for all)" if start.catch_up else ""
        self.say(f"started {item.name}, due {due.astimezone(self.here):%Y-%m-%d %H:%M:%S}{late}")
        return True

    def _record_start(self, start: Start, directory: Path, lease: Lease) -> bool:
        one, moment = start.occurrence, now()
        values: Facts = {
            "state": "running",
            "service": self.name,
            **self.workspace.ledger().here,
            "fence": lease.fence,
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
                lease.check(connection)
                if not start.again:
                    connection.execute(insert(occurrence), [key | values | {"tries": 1}])
                    return True
                mine = (occurrence.c.item == key["item"]) & (occurrence.c.due == key["due"])
                idle = mine & (occurrence.c.state != "running")
                again = update(occurrence).where(idle).values(**values, tries=occurrence.c.tries + 1)
                return bool(connection.execute(again).rowcount)
        except IntegrityError:
            return False

    def finish(self, items: Sequence[Item]) -> bool:
        """Record how runs ended, and end those that take too long; whether any has ended."""
        ended_any = False
        for row in self.workspace.ledger().read("open_occurrences"):
            ended = self._ended(row)
            if ended is not None:
                self._record_end(row, ended, items)
                ended_any = True
        return ended_any

    def _ended(self, row: Facts) -> jobs.Ended | None:
        until = parse_iso(row["limit_at"])
        late = now() > until
        if not self.workspace.ledger().is_here(row["host"], row["home"]):
            # In a home that is silent it is unknown until its time limit is over; then nobody waits for it.
            return jobs.Ended(None, f"nothing was heard of it from {row['host']}", None) if late else None
        directory = self.place / row["directory"]
        # What runs here is not ended because the clock was set, nor let run on.
        seconds = jobs.seconds_since(directory)
        if seconds is not None:
            late = seconds > (until - parse_iso(row["started_at"])).total_seconds()
        ended = jobs.look(directory)
        if ended is None and late:
            self._end_late(directory)
        return ended

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

    def _record_end(self, row: Facts, ended: jobs.Ended, items: Sequence[Item]) -> None:
        directory = self.place / row["directory"]
        moment = ended.at or now()
        late = self._asked.pop(directory.name, None) is not None
        fact = "it took too long and was ended" if late and ended.exit == 130 else ended.fact
        item = next((one for one in items if one.key == row["item"]), None)
        again = retry_at(row, ended, moment, item)
        values: Facts = {
            "state": "waits for approval" if ended.approval else "ended" if ended.exit is not None else "died",
            "ended_at": iso(moment),
            "exit": ended.exit,
            "fact": fact,
            "run_id": jobs.run_of(directory),
            "output": jobs.output_of(directory),
            "retry_at": iso(again) if again else None,
        }
        mine = (occurrence.c.item == row["item"]) & (occurrence.c.due == row["due"])
        with self.workspace.ledger().engine.begin() as connection:
            connection.execute(update(occurrence).where(mine, occurrence.c.state == "running").values(**values))
        jobs.remove(directory)
        (self.failed.discard if ended.exit == 0 else self.failed.add)(row["item"])
        self.heartbeat.ping("" if ended.exit == 0 else "fail")
        self._next_ping = time.monotonic() + EVERY
        told = fact or ("done" if ended.exit == 0 else f"exit code {ended.exit}")
        self.say(f"ended {row['item']}: {told}")

    def ping(self, what: str = "") -> None:
        """A sign of life to who watches from elsewhere, where nothing has run for an hour."""
        if time.monotonic() >= self._next_ping:
            self._next_ping = time.monotonic() + EVERY
            self.heartbeat.ping(what)

    def end(self, items: Sequence[Item], patience: float) -> None:
        """Let what runs end within some seconds; then interrupt it, then kill it."""
        asked, until = False, time.monotonic() + patience
        while running := self.running():
            self.finish(items)
            if time.monotonic() > until:
                if asked:
                    break
                asked, until = True, time.monotonic() + _GRACE
                for row in running:
                    self.say(f"interrupting {row['item']}")
                    jobs.interrupt(self.place / row["directory"])
            time.sleep(0.2)
        for row in self.running():
            jobs.kill(self.place / row["directory"])
        self.finish(items)


def retry_at(row: Facts, ended: jobs.Ended, moment: datetime, item: Item | None) -> datetime | None:
    """When a run is tried again: what could not reach a server, within the item's window; nothing else.

    What died is tried again only where the item says `retry`. A run that was never begun is: nothing was done.
    """
    pause = _BACK_OFF[min(row["tries"], len(_BACK_OFF)) - 1]
    if not ended.begun:
        return moment if row["tries"] == 1 else moment + timedelta(seconds=pause)  # its disk may be full
    if item is None or ended.exit == 0:
        return None
    allowed = item.terms.retry
    may = ended.again or (allowed is not None and ended.exit is None)
    if not may or (allowed is not None and row["tries"] > allowed):
        return None
    again = moment + timedelta(seconds=min(pause, 5) if item.when.kind == "every" else pause)
    due, started = parse_iso(row["due"]), parse_iso(row["started_at"])
    begun = max(due, started - timedelta(seconds=sum(_BACK_OFF[: row["tries"] - 1])))  # of a catch-up: its first try
    return again if again < begun + timedelta(seconds=item.window) else None


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
