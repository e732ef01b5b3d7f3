"""A machine whose clock is set, with a service that is killed, for histories: time passes, and things happen.

The service here keeps its records as the scheduler does, one row for each item and time at which it is due. At each
look it asks the product and the naive model what to start, and they have to agree.
"""

from __future__ import annotations

from bisect import insort
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from tabsync.manual.model import Manual
from tabsync.manual.terms import Terms
from tabsync.manual.when import parse_when
from tabsync.schedule.expected import Version, expected, expected_of_each
from tabsync.schedule.items import Item
from tabsync.schedule.judge import AHEAD, Attempt, Mark, Proof, Record, State, Verdict, judge_all
from tabsync.schedule.look import Look
from tabsync.schedule.services import Service
from tabsync.schedule.tally import tally, unsettled
from tabsync.service.due import due_now, next_look, waits_for_a_backup
from tests.unit.schedule.naive import (
    DAY,
    Begin,
    Edition,
    Past,
    Run,
    Thing,
    Trace,
    fate,
    following_by_rule,
    next_due,
    to_begin,
)

NAME = "alpha"
"""The name of the service."""

AT_ONCE = 2
LIVES = ("done", "fails", "nothing", "unfit", "unreachable", "dies", "asks", "unsure", "unbegun")
"""What may become of a run."""

_EXIT = {"done": 0, "nothing": 0, "unfit": 0, "fails": 1, "unreachable": 3, "asks": 5, "unsure": 2}


@dataclass(frozen=True, slots=True)
class Written:
    """An item as it stands in a manual, and as the model has it. heading, at, within: as a person writes them."""

    thing: Thing
    heading: str
    at: time | None = None
    within: int | None = None

    def item(self, *, first: bool, line: int) -> Item:
        """The product's, from the words of the manual."""
        when = parse_when(self.heading)
        terms = Terms(at=self.at, within=self.within, retry=self.thing.retry, on=self.thing.on)
        return Item(
            key=self.thing.key,
            name=self.thing.key.lower().replace(" ", "-"),
            text=f"{self.thing.key}, wording {self.thing.wording}",
            when=when.moved_to(self.at) if self.at else when,
            terms=terms,
            words=() if self.thing.task else tuple(self.thing.key.split()),
            line=line,
            built=self.thing.built,
            evidence="" if self.thing.task else "output",
            approval="it deletes" if self.thing.approval else "",
            first=first,
        )


@dataclass(slots=True)
class World:
    """real: seconds since 1970, which only grow; ahead: what the clock shows more; lives: of the runs, in turn.

    running: by item and due, when a run's process ends, in real time; ended: what ended while nobody looked; back: when
    the service came back, or the clock was set; caught_up: what was started since that was over then.
    """

    real: int
    zone: str
    lives: Sequence[tuple[str, int]]
    ahead: int = 0
    on: bool = True
    past: Past = field(default_factory=Past)
    versions: list[Version] = field(default_factory=list)
    running: dict[tuple[str, int], tuple[int, str]] = field(default_factory=dict)
    ended: dict[tuple[str, int], tuple[int, str]] = field(default_factory=dict)
    started: list[tuple[int, Begin]] = field(default_factory=list)
    back: int = 0
    caught_up: list[str] = field(default_factory=list)
    drawn: int = 0
    proofs: dict[str, list[Proof]] = field(default_factory=dict)

    @property
    def clock(self) -> int:
        """What the machine's clock shows."""
        return self.real + self.ahead

    @property
    def here(self) -> ZoneInfo:
        """The zone of the machine."""
        return ZoneInfo(self.zone)

    # What a person does.

    def edit(self, manual: Sequence[Written]) -> None:
        """Put a manual in force."""
        before = {one.key for one in self.past.editions[-1].things if one.built} if self.past.editions else set()
        done = {one.key for one in self.past.traces if one.good}
        things, items = [], []
        for line, one in enumerate(manual):
            thing = one.thing
            first = thing.built and not thing.task and thing.key not in before | done
            things.append(replace(thing, first=first))
            items.append(one.item(first=first, line=line))
        at = max(self.clock, self.past.editions[-1].at if self.past.editions else 0)
        if at > self.clock:
            self.caught_up.clear()  # the clock is behind: the new manual counts as if it had always been there
        self.past.editions.append(Edition(at, tuple(things)))
        self.versions.append(Version(moment(at), str(len(self.versions)), tuple(items)))
        self.look()

    def skip(self, key: str, due: int) -> None:
        """Skip an occurrence."""
        self.past.said[key, due] = ("skip", self.clock)

    def tick(self, key: str, due: int) -> None:
        """Tick a task off; once is enough."""
        if self.past.said.get((key, due), ("", 0))[0] != "done":
            self.past.said[key, due] = ("done", self.clock)

    def approve(self, key: str) -> None:
        """Approve an item as it stands now."""
        self.past.approved |= {(one.key, one.wording) for one in self.past.editions[-1].things if one.key == key}
        self.look()

    def leave(self, key: str, life: str, run: str = "") -> None:
        """Evidence of an item, by hand or of a run."""
        good, unknown, unfit = life == "done", life == "unsure", life == "unfit"
        self.past.traces.append(Trace(self.clock, key, good, run, unknown))
        proof = Proof(moment(self.clock), not unknown, "it is of another class" if unfit else "", "", run, unknown)
        insort(self.proofs.setdefault(key, []), proof, key=lambda one: one.at)

    # What befalls the machine.

    def set_clock(self, ahead: int) -> None:
        """The clock is set; the service notices."""
        self.ahead = ahead
        self._came_back()
        self.look()

    def stop(self, *, power: bool = False) -> None:
        """The service is killed; its runs go on, unless the whole machine lost its power."""
        self.on = False
        if power:
            for key in [*self.running]:
                del self.running[key]
                self.ended[key] = (0, "dies")

    def start(self) -> None:
        """The service comes back."""
        self.on = True
        self._came_back()
        self.look()

    def _came_back(self) -> None:
        self.back = self.clock
        self.caught_up.clear()

    def kill(self) -> None:
        """The oldest run is killed."""
        for key in [*self.running][:1]:
            del self.running[key]
            self.ended[key] = (self.clock, "dies")
        self.look()

    def let_pass(self, seconds: int) -> None:
        """Time goes by, from one moment at which something happens to the next."""
        end = self.real + seconds
        while self.real < end:
            self.real = min([end, *self._moments()])
            self._end_processes()
            self.look()

    def _moments(self) -> Iterator[int]:
        """The moments of real time after now at which something happens."""
        yield from (max(ends, self.real + 1) for ends, _ in self.running.values())
        if not self.on:
            return
        dues = [one.retry_at for one in self.past.runs.values() if one.retry_at and one.retry_at > self.clock]
        edition = self.past.editions[-1]
        dues.append(next_due(edition.things, self.clock))
        dues += [due for thing, due in self.past.occurrences(self.clock + 1, self.clock + DAY) if not thing.task][:1]
        found = next_look(self.versions, self.records(), moment(self.clock), self.here)
        assert seconds_of(found) <= min([*dues, self.clock + 600]), "the service would look too late"
        yield from (due - self.ahead for due in dues)

    def _end_processes(self) -> None:
        for key, (ends, life) in [*self.running.items()]:
            if ends <= self.real:
                del self.running[key]
                run = self.past.runs[key]
                if life in ("done", "unfit", "unsure"):
                    self.leave(key[0], life, run.name)
                self.ended[key] = (self.clock, life)

    # What the service does.

    def look(self) -> None:
        """One look of the service: what ended is recorded, what is due is started."""
        if not self.on:
            return
        for key, (at, life) in self.ended.items():
            self._record_end(key, at or self.clock, life)
        self.ended.clear()
        self._start_due()

    def _record_end(self, key: tuple[str, int], at: int, life: str) -> None:
        run = self.past.runs[key]
        run.ended, run.tells = at, life
        thing = next((one for one in self.past.editions[-1].things if one.key == key[0]), None)
        if life == "unbegun":
            run.retry_at = at
        elif life == "unreachable" and thing and (thing.retry is None or run.tries <= thing.retry):
            until = (key[1] if run.began < key[1] + thing.window else run.began) + thing.window
            run.retry_at = at + 60 if at + 60 < until else None

    def _start_due(self) -> None:
        now = moment(self.clock)
        found = due_now(self.versions, self.records(), now, self.here, (NAME,))
        begins = [
            Begin(one.occurrence.item.key, seconds_of(one.occurrence.due), one.catch_up, one.again) for one in found
        ]
        wanted = to_begin(self.past, self.clock, NAME)
        differ = {one: one in begins for one in {*begins} ^ {*wanted}}
        assert not differ, f"to start at {now}, {self.clock}: True is only the product's: {differ}"
        ranks = [0 if one.key.startswith(("backup take", "wal copy")) else 1 for one in begins]
        assert ranks == sorted(ranks), "backups go first"
        busy = {key for key, _ in [*self.running, *self.ended]}
        for one, begin in zip(found, begins, strict=True):
            item = one.occurrence.item
            if item.key in busy or waits_for_a_backup(item, busy) or len(busy) >= AT_ONCE:
                continue
            self._begin(begin, seconds_of(one.occurrence.until))
            busy.add(item.key)

    def _begin(self, begin: Begin, until: int) -> None:
        key = (begin.key, begin.due)
        before = self.past.runs.get(key)
        assert begin.due <= self.clock, "started before it was due"
        assert (before is not None) == begin.again, f"{key} was started twice"
        if until <= self.back and not begin.again:
            assert begin.key not in self.caught_up, f"two catch-ups of {begin.key} after one time off"
            self.caught_up.append(begin.key)
        self.started.append((self.real, begin))
        life, seconds = self.lives[self.drawn % len(self.lives)]
        self.drawn += 1
        tries, began = (before.tries + 1, before.began) if before else (1, self.clock)
        self.past.runs[key] = Run(f"run {self.drawn}", self.clock, tries=tries, began=began)
        self.running[key] = (self.real + seconds, life)

    # What is on record.

    def records(self) -> Mapping[str, Record]:
        """As the ledger has it."""
        attempts: dict[str, dict[datetime, Attempt]] = {}
        for (key, due), run in self.past.runs.items():
            attempts.setdefault(key, {})[moment(due)] = self._attempt(run)
        marks: dict[str, list[Mark]] = {}
        for (key, due), (kind, said) in self.past.said.items():
            marks.setdefault(key, []).append(Mark(kind, moment(said), "somebody", "", moment(due)))
        for key, wording in self.past.approved:
            digest = replace(_ANY, key=key, text=f"{key}, wording {wording}").text_digest
            marks.setdefault(key, []).append(Mark("approve", moment(self.clock), "admin", "", None, digest))
        keys = {*attempts, *marks, *self.proofs}
        return {key: Record(self.proofs.get(key, ()), attempts.get(key, {}), marks.get(key, ())) for key in keys}

    def _attempt(self, run: Run) -> Attempt:
        state = "ended" if run.ended is not None else "running"
        state = "waits for approval" if run.tells == "asks" else "died" if run.tells in ("dies", "unbegun") else state
        return Attempt(
            state=state,
            started=moment(run.started),
            ended=moment(run.ended) if run.ended is not None else None,
            exit=_EXIT.get(run.tells),
            fact=run.tells,
            run_id=run.name,
            tries=run.tries,
            retry_at=moment(run.retry_at) if run.retry_at is not None else None,
            host="alpha.example",
            silent=not self.on,
        )

    def compare(self) -> int:
        """Ask both what became of everything until now; returns how many occurrences that were."""
        start, end = self.past.editions[0].at - DAY, self.clock + 1
        known = self.past.occurrences(start, end)
        found = expected(self.versions, moment(start), moment(end), self.here)
        ours = sorted((seconds_of(one.due), one.item.key, seconds_of(one.until)) for one in found)
        assert ours == sorted((due, one.key, due + one.window) for one, due in known), "what was expected"
        told = {(one.occurrence.item.key, seconds_of(one.occurrence.due)): one for one in self._told(found)}
        assert len(told) == len(found), "two occurrences of an item at one time"
        self._compare_sums(list(told.values()), moment(start), moment(end))
        following: dict[str, int] = {}
        for thing, due in reversed(known):
            after = following.get(thing.key, following_by_rule(thing.rule, max(self.clock, due)))
            one = fate(self.past, thing, due, after, self.clock, name=NAME, silent=not self.on)
            following[thing.key] = due
            verdict = told[thing.key, due]
            late = seconds_of(verdict.caught_up) if verdict.caught_up else None
            got = (str(verdict.state), late)
            assert got == (one.state, one.late), f"{thing.key}, due {moment(due)}, at {moment(self.clock)}"
        return len(found)

    def _compare_sums(self, verdicts: Sequence[Verdict], start: datetime, end: datetime) -> None:
        """What is counted at one look is what comes out when each occurrence is judged."""
        service = Service(NAME, "alpha.example", 1, start, moment(self.clock), {})
        seen = Look(Manual(), (), self.versions, [service], moment(self.clock), self.here, "")
        known = self.records()
        for key, dues in expected_of_each(self.versions, start, end, self.here).items():
            ones = [one for one in verdicts if one.occurrence.item.key == key]
            if not dues:
                continue
            record = known.get(key) or Record()
            running = [due for due, one in record.attempts.items() if one.state == "running"]

            bare = Record(record.proofs, {}, record.marks)
            left = unsettled(dues, bare, running, end, seen.now + AHEAD)
            runs = [
                {due: one for due, one in record.attempts.items() if first <= due < last} for first, last in left.runs
            ]
            got = tally(dues, left, bare, runs, seen)
            assert got.counts == Counter(one.state for one in ones), f"{key}: summed, and judged one by one"
            assert got.caught_up == sum(one.caught_up is not None for one in ones)
            others = [one for one in ones if one.state is not State.DONE]
            assert [(one.occurrence.due, one.state, one.why) for one in got.others] == [
                (one.occurrence.due, one.state, one.why) for one in others
            ]
            if got.days:
                assert sum(got.days.values(), Counter()) == got.counts

    def _told(self, found: Sequence) -> list[Verdict]:  # type: ignore[type-arg]
        return judge_all(found, self.records(), moment(self.clock), (NAME,), here=self.here)


_ANY = Item("", "", "", parse_when("Daily"), Terms())


def moment(seconds: int) -> datetime:
    """A moment as the product has it."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)


def seconds_of(at: datetime) -> int:
    """A moment as the model has it."""
    return round((at - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds())
