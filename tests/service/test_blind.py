"""Blindness, counted: every metric of the manual in each way of going blind. None reads well, or ends, by absence."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from tabsync.kernel.clock import now
from tabsync.manual.load import load
from tabsync.manual.model import Manual
from tabsync.manual.parse import parse
from tabsync.monitoring.history.place import history_of
from tabsync.monitoring.history.standing import Kept, standings
from tabsync.monitoring.judge import Level
from tabsync.postgres import embedded
from tabsync.postgres.installation import installations
from tabsync.profiles.tabsync import PROFILE_MANUAL
from tabsync.workspace import PLAIN_MANUAL, Workspace
from tests.conftest import missing
from tests.servers import running_server_of, standby_of
from tests.service.going_blind import WAYS, Place, Row, Truth, as_watcher, busy, furnish
from tests.service.test_collector import Watched
from tests.whole import WHOLE

LATER = timedelta(minutes=3)
"""When nobody measures, or nothing is kept, a page can know it by then."""

UNKNOWN, SAME, ABSENT = "unknown", "same", "no row"
"""What a cell reads: not known; what a superuser gets too, so that it can't go blind this way; no row, as for a
superuser."""

NOT_HERE = {"Recoverable to", "Unused indexes", "Long-running queries"}
"""What has no row here: nothing was backed up, the statistics are not a month old, and no query a minute."""

SETTINGS = {
    "wal_level": "replica",
    "max_wal_senders": "5",
    "max_replication_slots": "5",
    "max_connections": "80",
    "hot_standby_feedback": "off",
    "autovacuum": "off",
    "archive_mode": "on",
    "archive_command": "false",
    "wal_receiver_status_interval": "1s",
}


def manual_text() -> str:
    """The profile's manual; each metric has a bound that any value is beyond, so that each has an episode.

    Without the disk, and what the collector takes itself: these are no values of the database, and no superuser knows
    them better.
    """
    text = PROFILE_MANUAL.read_text(encoding="utf-8").replace("Of: disk", "Of: not declared")
    text = re.sub(r"#### Cost of monitoring\n.*?(?=\n####? )", "", text, flags=re.DOTALL)
    rows = [f"| {one.title} | — | >= 0 | — | Look | — |" for one in parse(text)[0].metrics]
    table = "\n| Metric | Warning | Critical | For | Action | Runbook |\n|---|---|---|---|---|---|\n"
    return re.sub(
        r"(### Thresholds\n).*?(?=\n### )",
        lambda found: found[1] + table + "\n".join(rows) + "\n",
        text,
        flags=re.DOTALL,
    )


@contextmanager
def place_of(major: int, directory: Path, workspaces: Callable[..., Workspace]) -> Iterator[Place]:
    found = [one for one in installations() if one.major == major and one.has_server]
    if not found:
        missing(f"PostgreSQL {major}")
    with ExitStack() as stack:
        primary: embedded.Server = stack.enter_context(running_server_of(found[0], f"blind{major}", SETTINGS))
        furnish(primary)
        standby = stack.enter_context(standby_of(primary, "blind_standby"))
        path = directory / "manual.md"
        path.write_text(manual_text())
        stack.enter_context(busy(primary))
        workspace = workspaces(as_watcher(primary), path)
        place = Place(primary, standby, workspace, directory, stack.enter_context(ExitStack()))
        yield place


class Round:
    """One way of going blind: measured well, then not; what each metric read then."""

    def __init__(self, place: Place, way: str, manual: Manual) -> None:
        self.place, self.way, self.manual = place, way, manual
        self.watched = Watched(place.workspace)
        self.cells: dict[str, str] = {}
        self.wrong: list[str] = []

    def run(self) -> None:
        self.watched.look()
        self.before = self.watched.episodes()
        self.truth = self._truth(None)
        assert {title for title, told in self.truth.items() if not told} == NOT_HERE
        assert {rule for rule, _ in self.before} == {one.title for one in self.manual.metrics} - NOT_HERE
        if self.way == "killed":
            self.watched.collector.end()
        WAYS[self.way](self.place, self.look)
        self.watched.collector.end()

    def look(self, other: Workspace | None) -> None:
        """Look while it is blind, and judge what is read."""
        watched = self.watched
        server = self.place.standby if self.way == "standby" else None
        if other is not None:
            watched.collector.end()
            watched = Watched(other)
        for _ in range(3):  # what moves may have moved between the two looks
            truth, wrong = self._read(watched, server)
            if not wrong:
                break
        self.wrong += wrong
        self._ended(watched, truth)
        if other is not None:
            watched.collector.end()

    def _read(self, watched: Watched, server: embedded.Server | None) -> tuple[dict[str, Truth | None], list[str]]:
        """Measure, and hold what a page shows by it against what a superuser gets; gives that, and what is wrong."""
        wrong: list[str] = []
        if self.way != "killed":
            self.place.settle(server)
            watched.look()
        truth = self._truth(server)
        if self.way == "lock held":  # a superuser has to wait too: what there was before is still so
            truth = {title: self.truth[title] if told is None else told for title, told in truth.items()}
        silent = self.way in ("killed", "history full")
        with history_of(self.place.workspace) as history:
            found = standings(self.manual, Kept.of(history), now() + (LATER if silent else timedelta()))
        for one in found:
            title = one.metric.title
            rows: Truth = {}
            for sample in one.samples:
                rows.setdefault(sample.label.removeprefix("public."), []).append((sample.value, sample.of))
            if one.level is Level.UNKNOWN:
                self.cells[title] = UNKNOWN
            elif _agrees(rows, truth[title]):
                self.cells[title] = SAME if rows else ABSENT
            else:
                self.cells[title] = "WRONG"
                wrong.append(f"{self.way}: {title} reads {rows}, a superuser {truth[title]}")
        return truth, wrong

    def _ended(self, watched: Watched, truth: dict[str, Truth | None]) -> None:
        """No episode has ended, unless a superuser too finds that its label isn't there any more."""
        for rule, label in self.before.keys() - watched.episodes().keys():
            told = truth.get(rule)
            metric = self.manual.metric(rule)
            absent = told is not None and label.removeprefix("public.") not in told
            if (
                self.way == "standby"
                or self.cells[rule] == UNKNOWN
                or not absent
                or metric is None
                or not metric.gone_ok
            ):
                self.wrong.append(f"{self.way}: the episode of {rule} {label} has ended")

    def _truth(self, server: embedded.Server | None) -> dict[str, Truth | None]:
        major = self.place.primary.installation.major
        return {
            one.title: self.place.truth(one.sql_for(major), server) if one.sql else None for one in self.manual.metrics
        }


def _agrees(read: Truth, told: Truth | None) -> bool:
    """Whether they say the same. What grows by itself (seconds, ids, bytes) may have grown in between."""
    if told is None or read.keys() != told.keys():
        return False
    return all(_near(pair, told[label][0]) for label, pairs in read.items() for pair in pairs[:1])


def _near(read: Row, told: Row) -> bool:
    for one, other in zip(read, told, strict=True):
        if (one is None) != (other is None):
            return False
        grows = 5 if other is not None and other != int(other) else 0  # seconds, that go on
        if one is not None and one != pytest.approx(other, rel=0.05, abs=grows):
            return False
    return True


@pytest.mark.parametrize("major", [15, 17, 18] if WHOLE else [17])
def test_blindness_counted(major: int, directory: Path, workspaces: Callable[..., Workspace]) -> None:
    with place_of(major, directory, workspaces) as place:
        manual = load(place.workspace.manual_path)
        rounds = [Round(place, way, manual) for way in WAYS]
        for one in rounds:
            one.run()
    print(f"\nPostgreSQL {major}")
    print(f"{'':34}" + "".join(f"{way:15}" for way in WAYS))
    for metric in manual.metrics:
        print(f"{metric.title:34}" + "".join(f"{one.cells[metric.title]:15}" for one in rounds))
    print({word: sum(list(one.cells.values()).count(word) for one in rounds) for word in (UNKNOWN, SAME, ABSENT)})
    assert [words for one in rounds for words in one.wrong] == []
    business = {"User role distribution", "Table sessions", "Orders by status", "Split payments by status"}
    for one in rounds:
        if one.way == "pooler":  # in transaction mode, as a user who may read all
            assert {one.cells[title] for title in business} == {SAME}
        elif one.way != "standby":
            assert {one.cells[title] for title in business} == {UNKNOWN}, one.way


def test_what_init_writes_is_measured_by_the_same_queries() -> None:
    ours = {one.title: one for one in load(PROFILE_MANUAL).metrics}
    assert {one.title for one in load(PLAIN_MANUAL).metrics if ours[one.title].sql != one.sql} == set()
