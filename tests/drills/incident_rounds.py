"""An incident from its first line to its last, whose commands are killed at any moment: what it shows is what was done.

Whoever was killed looks at `incident show`, and types again what isn't there. So each entry is there once in the end.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.killed_at import Moment, lines
from tests.postgres.cli.program import Done, tabsync
from tests.postgres.incidents.test_incidents import MANUAL
from tests.service.disk import Disk, small_disk

WORDS: tuple[tuple[str, ...], ...] = (
    ("open", "Payments fail", "--severity", "major"),
    ("note", "the gateway is down"),
    ("ack",),
    ("mitigate", "--note", "they take cash"),
    ("reopen", "--note", "it fails again"),
    ("mitigate", "--note", "another gateway"),
    ("resolve", "--note", "a new key"),
    ("action", "a second gateway", "--owner", "Ana"),
    ("action", "1", "--done"),
    ("check", "4", "--waive", "nothing to be learned"),
    ("check", "5", "--note", "on Tuesday"),
    ("check", "6", "--waive", "nothing was restored"),
    ("close", "--cause", "an expired key"),
)
"""What people type, in this order."""

LINES = (
    "opened: Payments fail",
    "the gateway is down",
    "takes care of it",
    "MITIGATED: they take cash",
    "OPEN AGAIN: it fails again",
    "MITIGATED: another gateway",
    "RESOLVED: a new key",
    "to be done: a second gateway",
    "was done: action 1",
    "checklist: Monitoring, alerts and the runbook are updated: left out: nothing to be learned",
    "checklist: The post-mortem meeting took place: ticked off: on Tuesday",
    "checklist: Disaster recovery was tested: left out: nothing was restored",
    "root cause: an expired key",
)
"""The line of the timeline by which each is known to have been done; the last has another, that it is closed."""

STATES = ("open",) * 3 + ("mitigated", "open", "mitigated") + ("resolved",) * 6 + ("closed",)
_KILLED = -9
_MOST = 24  # lines in the log of a command to which nothing happens
_TRIES = 4


@dataclass
class Incidents:
    """Where they are kept: a home on a disk of its own, whose database is gone for good."""

    directory: Path
    disk: Disk
    draw: random.Random
    seen: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    @property
    def log(self) -> Path:
        """What commands have written down."""
        return self.directory / "boundaries"

    def command(self, *words: str, moment: Moment | None = None) -> Done:
        """Run a command of incidents, to its end or to a moment."""
        moment = moment or Moment(str(self.log), patience=1)
        return tabsync(self.directory, "incident", *words, timeout=60, **moment.variables())  # type: ignore[arg-type]

    def live(self, conditions: tuple[str, ...] = ("nothing else",), aim: Callable[[int], Moment] | None = None) -> str:
        """One incident, from its first line to its last; gives its id. aim: when to kill each; without, it is drawn."""
        moments = [aim(number) if aim else self._drawn() for number in range(len(WORDS))]
        over = self.draw.randrange(len(WORDS))
        known = set(self._ids())
        mine = ""
        with ExitStack() as broken:
            for one in conditions:
                broken.enter_context(CONDITIONS[one](self))
            for number, words in enumerate(WORDS):
                if number == over:
                    broken.close()
                mine = self._until_it_is_there(number, words, moments[number], mine, known)
        self._check(mine)
        return mine

    def _until_it_is_there(
        self, number: int, words: tuple[str, ...], moment: Moment, mine: str, known: set[str]
    ) -> str:
        """Type it, be killed, look, and type it again where it isn't there."""
        for turn in range(_TRIES):
            before = len(lines(self.log))
            done = self.command(*words, moment=None if turn else moment)
            if done.code == _KILLED:
                self.seen["kills"] += 1
                self.seen[_where(lines(self.log)[before:])] += 1
            mine = mine or next((one for one in self._ids() if one not in known), "")
            shown = self._shown(mine) if mine else None
            if shown is not None and self._is_there(shown, number):
                self.seen["done before it was killed"] += done.code == _KILLED
                return mine
            if done.code == 0:
                self.wrong.append(f"{words} has said that it is written down, and it isn't: {shown}")
                return mine
        self.wrong.append(f"{words} could not be done: {done.code} {done.out} {done.err}")
        return mine

    def _is_there(self, shown: Any, number: int) -> bool:
        """Whether what was typed is done; it is never half done, and nothing before it is lost."""
        texts = [one["text"] for one in shown["timeline"]]
        is_last = number == len(WORDS) - 1
        found = shown["state"] == "closed" if is_last else LINES[number] in texts
        states = {STATES[number]} if found else {STATES[max(0, number - 1)]}
        if shown["state"] not in states:
            self.wrong.append(f"after {WORDS[number]} it is {shown['state']}: {texts}")
        if lost := [line for line in LINES[:number] if line not in texts]:
            self.wrong.append(f"after {WORDS[number]} is lost: {lost}")
        return found

    def _check(self, mine: str) -> None:
        """Each line is there once, the ledger has all, and nothing is left of the journal."""
        shown = self._shown(mine)
        texts = Counter(one["text"] for one in shown["timeline"])
        allowed = {"root cause: an expired key": 2}  # killed before it was closed, and typed again
        if wrong := {line: texts[line] for line in LINES if not 1 <= texts[line] <= allowed.get(line, 1)}:
            self.wrong.append(f"not once: {wrong}")
        if shown["cause"] != "an expired key" or shown["unknown"] or len(shown["actions"]) != 1:
            self.wrong.append(f"it is not whole: {shown}")
        places = (self.disk.place / "home", self.directory / ".local" / "state" / "tabsync")
        if left := [path.name for one in places for path in one.glob("tabsync-emergency-*")]:
            self.wrong.append(f"of the emergency journal are left: {left}")
        runs = tabsync(self.directory, "run", "list", "--json").json["runs"]
        if running := [one for one in runs if one["state"] == "running"]:
            self.wrong.append(f"runs that died are shown as running: {running}")
        self.seen["incidents"] += 1

    def by_two(self, notes: int) -> None:
        """Two people open it, note, take and resolve it at once, and are killed: it is one, and each note is in it."""
        known = set(self._ids())
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(self._as_one, ("Ana", "Eva"), (notes, notes)))
        (mine,) = set(self._ids()) - known
        shown = self._shown(mine)
        texts = Counter(one["text"] for one in shown["timeline"])
        wanted = [f"{who} saw {number}" for who in ("Ana", "Eva") for number in range(notes)]
        if wrong := {one: texts[one] for one in [*wanted, "opened: by two"] if texts[one] != 1}:
            self.wrong.append(f"of two people, not once: {wrong}")
        if shown["state"] != "resolved":
            self.wrong.append(f"of two people: it is {shown['state']}: {texts}")
        self.command("close", mine, "--false-alarm", "--note", "a drill")
        self.seen["of two people"] += 1

    def _as_one(self, who: str, notes: int) -> None:
        draw = random.Random(f"{self.seen['of two people']}/{who}")  # threads share none
        todo = [
            ("open", "by two"),
            *(("note", f"{who} saw {number}") for number in range(notes)),
            ("ack",),
            ("resolve",),
        ]
        log = str(self.directory / f"boundaries of {who}")
        for words in todo:
            moment = Moment(log, draw.randint(1, _MOST))
            for _ in range(_TRIES):
                done = self.command(*words, moment=moment)
                self.seen["kills"] += done.code == _KILLED
                moment = Moment(log)
                if done.code == _KILLED and words[0] == "note":
                    if words[1] in [one["text"] for one in self._json("show")["timeline"]]:
                        break
                elif done.code != _KILLED:
                    break

    def _drawn(self) -> Moment:
        delay = self.draw.uniform(0.001, 0.05) if self.draw.random() < 0.3 else 0.0
        return Moment(str(self.log), self.draw.randint(1, _MOST), delay=delay, patience=1)

    def _ids(self) -> list[str]:
        return [one["id"] for one in self._json("list")["incidents"]]

    def _shown(self, id: str) -> Any:
        return self._json("show", id)

    def _json(self, *words: str) -> Any:
        done = self.command(*words, "--json")
        if done.code not in (0, 1):
            self.wrong.append(f"{words} ended with {done.code}: {done.err}")
        return done.json


@contextmanager
def place(directory: Path, draw: random.Random) -> Iterator[Incidents]:
    """A home whose database is gone, with the ledger made as it would be."""
    with small_disk(directory / "disk", "24m") as disk:
        (directory / "manual.md").write_text(MANUAL.read_text().replace("(by: manual)", ""))
        database = 'database = "postgresql://postgres@127.0.0.1:1/shop"\nhome = "disk/home"\n'
        (directory / "tabsync.toml").write_text(f'{database}manual = "manual.md"\n')
        found = Incidents(directory, disk, draw)
        assert found.command("list").code == 0
        yield found


@contextmanager
def _full(place: Incidents) -> Iterator[None]:
    place.disk.fill()
    try:
        yield
    finally:
        place.disk.empty()


CONDITIONS: Mapping[str, Callable[[Incidents], AbstractContextManager[None]]] = {
    "nothing else": lambda _: nullcontext(),
    "ledger full": _full,
}
"""What is broken besides, for the first commands of an incident."""


def _where(log: list[str]) -> str:
    """Where it was killed: before what it says was written down, in it, or after."""
    if not any(line in ("before say", "after running of its own") for line in log):
        return "before"
    return "after" if any(line in ("after say", "before done of its own") for line in log) else "in it"
