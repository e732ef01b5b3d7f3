"""The runbooks of our manuals, killed in their steps and gone on with: what they show as done was done."""

from __future__ import annotations

import random
import re
import shlex
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from tabsync.manual.load import load
from tabsync.manual.model import Runbook, Step
from tabsync.procedures import is_built
from tabsync.runbooks.check import runbooks_of
from tabsync.runbooks.going import by_a_person
from tabsync.runbooks.placeholders import open_in
from tabsync.runbooks.step import parts_of
from tests.killed_at import Moment, lines
from tests.postgres.cli.program import Done, tabsync

_KILLED = -9
_KNOWN = {"table": "orders", "condition": "false", "backup": "latest"}
_TRIES = 4  # until a step that fails is left out
_MOST = 40  # commands until a runbook must have ended
_AIMED = ("after running", "before done of its own", "after running of its own", "before done", "after done of its own")


@dataclass
class Manuals:
    """A place with one of our manuals. killed: in which steps of which runbooks, by their titles and numbers."""

    directory: Path
    manual: Path
    conninfo: str
    draw: random.Random
    seen: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    killed: set[tuple[str, int]] = field(default_factory=set)
    _opened: ExitStack = field(default_factory=ExitStack)

    def by_us(self, title: str) -> set[tuple[str, int]]:
        """The steps of a runbook that the program can do here."""
        runbook = next(one for one in load(self.manual).runbooks if one.title == title)
        mine = [one for one in runbook.steps if parts_of(one) and not by_a_person(one) and self._can(one)]
        return {(title, one.number) for one in mine}

    def live(self, title: str, kills: int, aimed: tuple[str, int] | None = None) -> None:
        """Run one from its beginning to its end, and kill some of its commands.

        aimed: the line of the log, and which of them, at which the first is killed; without, that is drawn.
        """
        with self._opened:
            self._live(title, kills, aimed)

    def _live(self, title: str, kills: int, aimed: tuple[str, int] | None) -> None:
        runbook = next(one for one in load(self.manual).runbooks if one.title == title)
        words = ["runbook", "run", title, "--yes", "--json"]
        run, tried = "", Counter[int]()
        done_before: set[int] = set()
        for _ in range(_MOST):
            step = int(words[words.index("--step") + 1]) if "--step" in words else 1
            if (title, step) not in self.killed:
                aimed = aimed or ("after running", 1)  # in a step that was never killed
            done = self._command(words, kills > 0, aimed)
            aimed = None
            kills -= done.code == _KILLED
            run = run or self._run_of(title)
            if not run:
                continue
            shown = self._json("run", "show", run)["run"]
            if done.code == _KILLED:
                inside = [one["key"] for one in shown["steps"] if one["state"] in ("running", "interrupted")]
                self.killed |= {(title, int(one.removeprefix("step-"))) for one in inside}
            self._look(shown, done_before)
            if shown["state"] != "open":
                break
            words = self._next(runbook, shown, tried)
        else:
            self.wrong.append(f"{title} has not ended: {words} {shown}")
        self._incident(runbook, run, shown)
        self.seen["runbooks"] += 1

    def _next(self, runbook: Runbook, run: Any, tried: Counter[int]) -> list[str]:
        """What a person types next who sees it."""
        number = next((one["key"] for one in run["steps"] if not _settled(one)), "").removeprefix("step-")
        if not number:  # it was killed after its last step
            return ["runbook", "resume", run["id"], "--yes", "--json"]
        step = next(one for one in runbook.steps if one.number == int(number))
        words = ["runbook", "resume", run["id"], "--yes", "--json", "--step", number]
        tried[step.number] += 1
        if by_a_person(step):
            return [*words, "--done", "it is done"]
        if not self._can(step) or tried[step.number] > _TRIES:
            self.seen["steps left out"] += 1
            return [*words, "--skip", "it can't be done here"]
        given = [f"{name}={value}" for name, value in self._values(step).items()]
        return [*words, *(word for one in given for word in ("--set", one))]

    def _can(self, step: Step) -> bool:
        """Whether there is something here that a step could be about, and its commands are built."""
        built = all(is_built(one.words) for one in step.commands)
        return built and set(open_in(step)) <= {*_KNOWN, "pid"}

    def _values(self, step: Step) -> dict[str, str]:
        """What a step leaves open; a session is opened for it."""
        names = open_in(step)
        if "pid" not in names:
            return {name: _KNOWN[name] for name in names}
        opened = psycopg.connect(self.conninfo, application_name="till", autocommit=True)
        self._opened.callback(opened.close)
        return {name: _KNOWN.get(name, str(opened.info.backend_pid)) for name in names}

    def _command(self, words: list[str], kill: bool, aimed: tuple[str, int] | None) -> Done:
        log = self.directory / "boundaries"
        moment = Moment(str(log))
        if kill:
            line, count = aimed or (self.draw.choice(_AIMED), self.draw.randint(1, 2))
            moment = Moment(str(log), count, line, 0.0 if aimed else self.draw.choice((0.0, 0.0, 0.02, 0.2)))
        before = len(lines(log))
        done = tabsync(self.directory, *words, timeout=120, **moment.variables())  # type: ignore[arg-type]
        if done.code == _KILLED:
            self.seen["kills"] += 1
            self.seen[f"killed {([*lines(log)[before:]] or ['at its start'])[-1]}"] += 1
        return done

    def _run_of(self, title: str) -> str:
        runs = self._json("run", "list", "--limit", "40")["runs"]
        return next((one["id"] for one in runs if one["title"] == title and one["state"] == "open"), "")

    def _look(self, run: Any, before: set[int]) -> None:
        """What was done stays done, and what is done has runs that are done."""
        now = {one["number"] for one in run["steps"] if one["state"] == "done"}
        if lost := before - now:
            self.wrong.append(f"{run['title']}: the steps {sorted(lost)} were done, and are not shown so any more")
        before |= now
        for one in run["steps"]:
            for child in (one["facts"] or {}).get("runs", ()) if one["state"] == "done" else ():
                state = self._json("run", "show", child)["run"]["steps"]
                if any(each["state"] in ("running", "waiting") for each in state) and not one["facts"].get("note"):
                    self.wrong.append(f"{run['title']}: step {one['number']} is shown as done, its run {child} is not")

    def _incident(self, runbook: Runbook, run: str, shown: Any) -> None:
        """It kept one incident, with this run in it and each step that was begun."""
        title = runbook.title
        if not (runbook.symptoms or runbook.recovers):
            return
        found = [one for one in self._json("incident", "list")["incidents"] if run in one["runs"]]
        if len(found) != 1:
            self.wrong.append(f"{title}: {len(found)} incidents have its run")
            return
        told = self._json("incident", "show", found[0]["id"])
        mine = {one["text"] for one in told["timeline"] if one["kind"] == "step" and one["run"] == run}
        for one in shown["steps"]:
            if one["started_at"] and not any(text.startswith(f"step {one['number']}, ") for text in mine):
                self.wrong.append(f"{title}: step {one['number']} is not in the timeline")
        tabsync(self.directory, "incident", "close", found[0]["id"], "--false-alarm", "--note", "a drill")

    def _json(self, *words: str) -> Any:
        done = tabsync(self.directory, *words, "--json")
        if done.code not in (0, 1):
            self.wrong.append(f"{shlex.join(words)} ended with {done.code}: {done.err}")
        return done.json


def _settled(row: Any) -> bool:
    return row["state"] in ("done", "skipped") or (row["state"] == "failed" and bool((row["facts"] or {}).get("note")))


def titles(manual: Path) -> list[str]:
    """The runbooks of a manual that have a step which the program does."""
    return [one.title for one in runbooks_of(load(manual)) if any(map(parts_of, one.steps))]


def place(directory: Path, manual: Path, conninfo: str, draw: random.Random) -> Manuals:
    """A place with a manual of ours, on a database of the profile; it waits a second only until it has recovered."""
    directory.mkdir(exist_ok=True)
    text = re.sub(r"(Recovers: .*?) for .*", r"\1 for 1 s within 2 s", manual.read_text())
    (directory / "manual.md").write_text(text)
    (directory / "tabsync.toml").write_text(
        f'database = "{conninfo}"\nname = "restaurant"\nhome = "home"\nstore = "store"\nmanual = "manual.md"\n'
        'app.backend = { kind = "command", restart = ["true"], logs = ["echo", "gateway: timeout"] }\n'
    )
    return Manuals(directory, directory / "manual.md", conninfo, draw)
