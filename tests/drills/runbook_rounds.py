"""Runbooks that are killed at any moment while something else is broken, and gone on with by another process."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg.conninfo import make_conninfo

from tests.drills.runbook_site import CONDITIONS, RESTARTED, SECONDS, Site
from tests.killed_at import Moment, lines
from tests.postgres.runbooks.crowded import Session

WRITES = (6, 8)
"""The steps that are SQL which changes something."""

LOOKED = "it was done"
"""What a person says of a step that may have been done, and was."""

PERSON = 7
"""The step that a person does."""

_KILLED = -9
_MOST = 16  # commands until a round must have ended
_BOUNDARIES = 85  # lines in the log of a run to which nothing happens
_AIMED = ("after begin of its own", "after running of its own", "before done of its own", "after done of its own")
_WATCHES = "-c client_connection_check_interval=200"  # it ends with its client, though it works
_RECOVERS = "Recovers: Active connections < 0.001 % for 1 s within 2 s\n\n"
_STEPS = """1. Look.
   ```sql
   select count(*) from pg_stat_activity
   ```
2. Who is there?
   ```tabsync
   connections show
   ```
3. End what idles.
   ```tabsync
   connections terminate --idle-for 100ms --app till
   ```
4. Say that somebody is on it.
   ```tabsync
   alert silence "Active connections" --for 1h --reason "round {number}"
   ```
5. Make room.
   ```tabsync
   maintenance vacuum public.stock --anyway
   ```
6. Note it.
   ```sql write
   insert into acts (round, step) values ({number}, 6)
   ```
7. Tell Ana.
8. Note that.
   ```sql write
   insert into acts (round, step) values ({number}, 8)
   ```"""


@dataclass
class Round:
    """One runbook, from its beginning to its end. victims and others: sessions, by process id.

    aimed: the line of the log, and which of them, at which the first command is killed; without, that is drawn.
    """

    site: Site
    number: int
    conditions: tuple[str, ...]
    kills: int
    aimed: tuple[str, int] | None = None
    victims: dict[int, Session] = field(default_factory=dict)
    others: dict[int, Session] = field(default_factory=dict)
    runs: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)

    @property
    def title(self) -> str:
        """The runbook's."""
        return f"Round {self.number}"

    def live(self) -> None:
        """Run it, kill it, go on with it, until it has ended; the condition is over after some commands."""
        site = self.site
        head = f"#### {self.title}\n\n{_RECOVERS if site.draw.random() < 0.1 else ''}"
        site.manual(_STEPS.format(number=self.number), head)
        self.vacuumed = self._vacuumed()
        with ExitStack() as stack:
            self._connect(stack)
            broken = stack.enter_context(ExitStack())
            for one in self.conditions:
                broken.enter_context(CONDITIONS[one](site))
            over = site.draw.randint(1, 3)
            words: tuple[str, ...] | None = self._begins()
            for turn in range(_MOST):
                if turn == over or RESTARTED in self.conditions:
                    broken.close()
                if words is None:
                    break
                self._command(words)
                words = self._next()
            else:
                self._wrong(f"it has not ended: {self.told[-3:]}")
            broken.close()
            site.command("run", "list")  # whatever is left of the journal goes into the ledger
            from tests.drills.runbook_truth import check

            check(self)

    def _begins(self) -> tuple[str, ...]:
        return ("runbook", "run", self.title, "--yes", "--json")

    def _command(self, words: tuple[str, ...]) -> None:
        site = self.site
        before = len(lines(site.log))
        done = site.command(*words, moment=self._moment())
        self.told.append(f"{' '.join(words)}: {done.code} {done.err[-400:]}")
        if done.code == _KILLED:
            site.seen["kills"] += 1
            last = (["at its start"] + lines(site.log)[before:])[-1]
            site.seen[_where(last)] += 1
            self.kills -= 1

    def _moment(self) -> Moment | None:
        """When to kill the next command: at a line of its log that is aimed at, at any, or at any time."""
        if self.kills <= 0:
            return None
        draw, log = self.site.draw, str(self.site.log)
        if self.aimed is not None:
            return Moment(log, self.aimed[1], self.aimed[0], patience=1)
        which = draw.random()
        if which < 0.2:
            return Moment(log, 0, delay=draw.uniform(0.01, SECONDS), patience=1)
        delay = draw.uniform(0.001, 0.1) if draw.random() < 0.3 else 0.0
        if which < 0.5:
            return Moment(log, draw.randint(1, _BOUNDARIES), delay=delay, patience=1)
        return Moment(log, draw.randint(1, 4), draw.choice(_AIMED), delay, patience=1)

    def _next(self) -> tuple[str, ...] | None:
        """What somebody does next who looks at the list of runs; None when it has ended."""
        listed = self.site.command("run", "list", "--json", "--limit", "40")
        if listed.code:
            self._wrong(f"run list: {listed.err}")
            return None
        mine = [one for one in listed.json["runs"] if one["title"] == self.title]
        if not mine:
            if self._acts():
                self._wrong("there are acts without a run")
            return self._begins()
        shown = self.site.command("run", "show", mine[0]["id"], "--json")
        if shown.code:
            self._wrong(f"run show: {shown.err}")
            return None
        run = shown.json["run"]
        self.runs = [one["id"] for one in mine]
        self._look(run)
        return self._goes_on(run)

    def _goes_on(self, run: Any) -> tuple[str, ...] | None:
        if run["state"] != "open":
            return None
        resume = ("runbook", "resume", run["id"], "--yes", "--json")
        left = next((one for one in run["steps"] if not _settled(one)), None)
        if left is not None and left["number"] == PERSON:
            return (*resume, "--step", str(PERSON), "--done", "told Ana")
        if left is not None and left["number"] in WRITES and (left["facts"] or {}).get("interrupted"):
            return self._settled_by_a_person(resume, left["number"])
        return resume

    def _settled_by_a_person(self, resume: tuple[str, ...], number: int) -> tuple[str, ...]:
        """A script doesn't do again what may have been done: a person looks, and says which it is."""
        step = ("--step", str(number))
        return (*resume, *step, "--done", LOOKED) if number in dict(self._acts()) else (*resume, *step)

    def _look(self, run: Any) -> None:
        """No step is shown as done, at any moment, that was not."""
        acts = Counter(step for step, _ in self._acts())
        for one in run["steps"]:
            if one["number"] in WRITES and one["state"] == "done" and not acts[one["number"]]:
                self._wrong(f"step {one['number']} is shown as done, and was not")

    def _acts(self) -> list[tuple[int, Any]]:
        query = "select step, at from acts where round = %(round)s order by at"
        return [(step, at) for step, at in self.site.asked(query, round=self.number)]

    def _vacuumed(self) -> int:
        ((count,),) = self.site.asked("select vacuum_count from pg_stat_user_tables where relname = 'stock'")
        return int(count)

    def _connect(self, stack: ExitStack) -> None:
        """Sessions that may be ended, and others: in a transaction, at work, of another program, elsewhere."""
        mine = make_conninfo(self.site.server.conninfo(), user="application")
        for _ in range(self.site.draw.randint(1, 4)):
            _note(self.victims, stack, make_conninfo(mine, application_name="till")).autocommit = True
        _note(self.others, stack, make_conninfo(mine, application_name="till")).execute("select 1")
        working = _note(self.others, stack, make_conninfo(mine, application_name="till", options=_WATCHES))
        working.pgconn.send_query(b"select pg_sleep(3600)")
        _note(self.others, stack, make_conninfo(mine, application_name="kitchen"))
        _note(self.others, stack, make_conninfo(mine, application_name="till", dbname="other"))

    def _wrong(self, what: str) -> None:
        self.site.wrong.append(f"round {self.number}, {', '.join(self.conditions)}: {what}")


def _note(among: dict[int, Session], stack: ExitStack, conninfo: str) -> Session:
    opened: Session = psycopg.connect(conninfo)
    stack.callback(opened.close)
    among[opened.info.backend_pid] = opened
    return opened


def _settled(step: Any) -> bool:
    noted = step["state"] == "failed" and bool((step["facts"] or {}).get("note"))
    return step["state"] in ("done", "skipped") or noted


def _where(last: str) -> str:
    """In words where a command was killed, by the last line of its log."""
    if last in ("before begin of its own", "after begin of its own", "before running of its own"):
        return "between plan and act"
    if last == "after running of its own":
        return "in the act"
    if last in ("before done of its own", "before failed of its own"):
        return "between act and record"
    return "elsewhere"
