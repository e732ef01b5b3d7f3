"""The history's file: what comes back, from whatever it was folded into, and what it does when things go wrong."""

from __future__ import annotations

import itertools
import os
import random
import signal
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tabsync.kernel.errors import Refused
from tabsync.monitoring.history.codec import Sample
from tabsync.monitoring.history.errors import NotKept, Unreadable
from tabsync.monitoring.history.history import History
from tabsync.monitoring.history.lines import Line
from tabsync.monitoring.history.logins import Counted, Passed
from tabsync.monitoring.history.moments import ticks
from tabsync.monitoring.history.rollup import rolled, width_of
from tests.service.disk import small_disk

START = datetime(2026, 11, 1, 7, 30, tzinfo=UTC)
CONNECTIONS = ("connections", "")


@pytest.fixture
def path(directory: Path) -> Path:
    return directory / "history.sqlite"


@pytest.fixture
def history(path: Path) -> Iterator[History]:
    with History.open(path, create=True) as opened:
        yield opened


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


def fill(history: History, start: datetime, hours: float, every: float = 15.0, value: float = 5.0) -> datetime:
    """Append the same value again and again; returns the time after it."""
    at = start
    while at < start + timedelta(hours=hours):
        history.append(at, {CONNECTIONS: value})
        at += seconds(every)
    return at


def counted(lines: list[Line]) -> int:
    return sum(point.count for line in lines for point in line.points)


def test_nothing_is_made_by_reading(path: Path) -> None:
    with History.open(path, create=False) as reader:
        assert reader.latest() == {}
        assert reader.last_scrape() is None
        assert reader.series("connections", None, START, START + seconds(60), 10) == []
        assert not path.exists()
        with History.open(path, create=True) as writer:
            writer.append(START, {CONNECTIONS: 3})
            assert reader.latest() == {CONNECTIONS: (START, 3.0)}, "it is seen as soon as it is there"


def test_it_is_ours_alone(history: History, path: Path) -> None:
    history.append(START, {CONNECTIONS: 3})
    for file in path.parent.glob("history.sqlite*"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file


def test_what_was_not_measured_is_a_gap(history: History) -> None:
    for number in range(60):
        values = {("Connections", ""): 5.0} if not 20 <= number < 40 else {}
        history.append(START + seconds(number * 15), values, {("Connections", ""): 97.0})
    (line,) = history.series("CONNECTIONS", None, START, START + seconds(900), 60)
    assert len(line.points) == 40
    assert {point.of for point in line.points} == {97.0}
    assert history.last_scrape() == START + seconds(59 * 15)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_what_is_not_a_number_is_not_kept(history: History, value: float) -> None:
    history.append(START, {CONNECTIONS: value, ("size", "a"): 1.0}, {("size", "a"): value})
    assert history.latest_of() == {("size", "a"): (START, 1.0, None)}


NUMBERS = itertools.count()
MODEL_NAMES = [("load", ""), ("size", "a"), ("size", "b")]
SCRAPE = st.tuples(
    st.integers(-3 * 3600, 3 * 3600),
    st.lists(st.floats(-1e9, 1e9), min_size=3, max_size=3),
    st.integers(0, 7),
    st.booleans(),
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(SCRAPE, max_size=60), st.integers(1, 400))
def test_the_same_comes_back_as_from_the_samples_themselves(
    directory: Path, scrapes: list[tuple[int, list[float], int, bool]], points: int
) -> None:
    """The clock goes back and forth; the hours are folded at any time."""
    path = directory / f"{next(NUMBERS)}.sqlite"
    model: dict[tuple[str, str], list[Sample]] = {name: [] for name in MODEL_NAMES}
    with History.open(path, create=True) as history:
        at = START
        for step, values, present, tidies in scrapes:
            at += seconds(step)
            given_ = {
                name: one for bit, (name, one) in enumerate(zip(MODEL_NAMES, values, strict=True)) if present >> bit & 1
            }
            history.append(at, given_, dict.fromkeys(given_, 100.0))
            for name, one in given_.items():
                model[name].append(Sample(ticks(at), one, 100.0))
            if tidies:
                history.tidy(at)
        since, until = START - timedelta(hours=30), START + timedelta(hours=30)
        width = width_of(until - since, points)
        low, high = ticks(since) // width * width, -(-ticks(until) // width) * width
        for metric, label in MODEL_NAMES:
            wanted = rolled([one for one in model[metric, label] if low <= one.at < high], width)
            found = [point for line in history.series(metric, label, since, until, points) for point in line.points]
            assert [(ticks(one.at), one.low, one.high, one.count) for one in found] == [
                (one.at, one.low, one.high, one.samples) for one in wanted
            ]
            assert [one.mean for one in found] == pytest.approx([one.mean for one in wanted], rel=1e-9, abs=1e-6)
        latest = {name: (ones[-1].at, ones[-1].value) for name, ones in model.items() if ones}
        assert {name: (ticks(at), value) for name, (at, value) in history.latest().items()} == latest


def test_raw_goes_after_a_week_five_minutes_after_a_month_hours_after_thirteen(history: History) -> None:
    fill(history, START, 2, every=60)
    whole = (START - timedelta(hours=1), START + timedelta(hours=3))
    for days, narrowest in ((6, 1), (8, 5), (29, 5), (31, 60), (390, 60)):
        for day in range(days + 1):
            history.tidy(START + timedelta(days=day))
        (line,) = history.series("connections", None, *whole, 240)
        gaps = {(after.at - before.at) // timedelta(minutes=1) for before, after in itertools.pairwise(line.points)}
        assert min(gaps) == narrowest, f"after {days} days"
        assert counted([line]) == 120
    for day in range(391, 400):
        history.tidy(START + timedelta(days=day))
    assert history.series("connections", None, *whole, 240) == []
    assert history.latest() == {}, "and of a series of which nothing is left, the name goes too"


def test_a_clock_that_jumps_ahead_takes_nothing_with_it(history: History) -> None:
    end = fill(history, START, 3, every=60)
    history.tidy(end)
    history.append(end + timedelta(days=4000), {CONNECTIONS: 1.0})
    history.tidy(end + timedelta(days=4000))
    history.append(end, {CONNECTIONS: 2.0})
    history.tidy(end + seconds(60))
    assert counted(history.series("connections", None, START, end + seconds(1), 500)) == 181
    assert history.latest() == {CONNECTIONS: (end, 2.0)}, "what came last, not what says that it is the newest"


def test_what_comes_late_for_an_hour_whose_raw_samples_are_gone_joins_its_points(history: History) -> None:
    end = fill(history, START, 1, every=60, value=1.0)
    for day in range(9):
        history.tidy(end + timedelta(days=day))
    for _ in range(2):
        history.append(START, {CONNECTIONS: 9.0})
        history.tidy(end + timedelta(days=8))
        history.tidy(end + timedelta(days=8))
    lines = history.series("connections", None, START, end, 60)
    assert counted(lines) == 62
    assert max(point.high for line in lines for point in line.points) == 9.0


def test_the_oldest_raw_samples_go_first_when_it_is_too_large(path: Path) -> None:
    noise = random.Random(7)
    with History.open(path, create=True, max_size=1_250_000) as history:
        at, told = START, set()
        while at < START + timedelta(days=3):
            history.append(at, {("noise", str(one)): noise.random() for one in range(20)})
            at += seconds(300)
            if at.minute == 0:
                tidied = history.tidy(at)
                told.add(tidied.dropped)
                assert tidied.size <= 1_250_000
        assert told == {"", "the oldest raw samples were dropped"}
        assert counted(history.series("noise", "3", START, at, 72)) == 3 * 288, "the hours are all there"
        files = list(path.parent.glob("history.sqlite*"))
        assert sum(file.stat().st_size for file in files) < 6_000_000, "the log has four megabytes of its own"
        assert history.state("dropped") == "the oldest raw samples were dropped"


def test_labels_without_end_do_not_fill_it(history: History) -> None:
    for number in range(30):
        at = START + timedelta(hours=number)
        history.append(at, {("sessions", f"{number}-{one}"): 1.0 for one in range(200)} | {CONNECTIONS: 1.0})
        history.tidy(at)
    names = history.latest()
    assert len(names) <= 1000 + 200 + 1
    assert ("sessions", "29-7") in names
    assert CONNECTIONS in names


def test_hostile_labels_come_back(history: History) -> None:
    labels = ["\x1b[31mred", "<script>", "=1+1", "a\nb", "é" * 500, "%s", "'; drop table series; --", "\x00"]
    history.append(START, {("m", one): 1.0 for one in labels} | {("m", "\ud800"): 2.0})
    assert {label for _, label in history.latest()} == {*labels, "?"}


def test_a_corrupt_file_is_moved_away_and_named(path: Path) -> None:
    path.write_bytes(os.urandom(9000))
    with pytest.raises(Unreadable, match="can't be read"), History.open(path, create=False) as reader:
        reader.latest()
    with History.open(path, create=True) as history:
        (said,) = history.said
        (moved,) = path.parent.glob("history.sqlite.corrupt-*")
        assert moved.name in said
        history.append(START, {CONNECTIONS: 1.0})
        assert history.state("corrupt") == said
        assert history.latest() == {CONNECTIONS: (START, 1.0)}


def test_a_file_that_becomes_corrupt_under_us_is_moved_away(history: History, path: Path) -> None:
    end = fill(history, START, 4, every=30)
    history.tidy(end)
    history.close()
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(path.stat().st_size - 4096))
    with pytest.raises(NotKept, match="samples are lost"):
        history.append(end, {CONNECTIONS: 1.0})
    history.append(end, {CONNECTIONS: 2.0})
    assert history.latest() == {CONNECTIONS: (end, 2.0)}
    assert "corrupt" in history.said[0]


def test_a_database_of_something_else_is_left_alone_under_another_name(path: Path) -> None:
    other = sqlite3.connect(path)
    other.execute("create table accounts (id integer)")
    other.commit()
    other.close()
    with History.open(path, create=True) as history:
        history.append(START, {CONNECTIONS: 1.0})
    (moved,) = path.parent.glob("history.sqlite.corrupt-*")
    assert b"accounts" in moved.read_bytes()


def test_a_newer_file_is_refused(history: History, path: Path) -> None:
    history.close()
    newer = sqlite3.connect(path)
    newer.execute("pragma user_version=99")
    newer.close()
    for create in (True, False):
        with pytest.raises(Refused, match="newer tabsync"):
            History.open(path, create=create)


def test_an_older_file_is_brought_up_to_date(history: History, path: Path) -> None:
    history.append(START, {CONNECTIONS: 1.0})
    history.close()
    older = sqlite3.connect(path)
    older.executescript("drop table event; drop table login; pragma user_version=1")
    older.close()
    with pytest.raises(Refused, match="older tabsync"):
        History.open(path, create=False)
    with History.open(path, create=True) as writer:
        writer.happened(START, "restart", "the server was started")
    with History.open(path, create=False) as reader:
        assert reader.latest() == {CONNECTIONS: (START, 1.0)}


def test_what_happened_is_noted_once(history: History) -> None:
    for _ in range(2):
        history.happened(START, "restart", "the server was started")
    assert history.events(START, START + seconds(1)) == [(START, "restart", "the server was started")]
    assert history.events(START + seconds(1), START + seconds(2)) == []


def test_a_file_that_was_deleted_is_made_again(history: History, path: Path) -> None:
    history.append(START, {CONNECTIONS: 1.0})
    for file in path.parent.glob("history.sqlite*"):
        file.unlink()
    history.append(START + seconds(15), {CONNECTIONS: 2.0})
    with History.open(path, create=False) as reader:
        assert reader.latest() == {CONNECTIONS: (START + seconds(15), 2.0)}


def test_a_full_disk_loses_samples_and_nothing_else(directory: Path) -> None:
    with small_disk(directory / "disk") as disk, History.open(disk.place / "history.sqlite", create=True) as history:
        end = fill(history, START, 0.5)
        disk.fill()
        lost = 0
        for _ in range(1500):
            try:
                history.append(end, {("noise", str(one)): random.random() for one in range(100)})
            except NotKept as error:
                assert "samples are lost" in error.fact
                lost += 1
        assert lost
        disk.empty()
        history.append(end + seconds(15), {CONNECTIONS: 9.0})
        history.tidy(end + timedelta(hours=2))
        assert counted(history.series("connections", None, START, end + seconds(60), 500)) == 121


def test_a_reader_waits_for_nobody_and_nobody_for_it(history: History, path: Path) -> None:
    end = fill(history, START, 2, every=30)
    reader = sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None)
    reader.execute("begin")
    before = reader.execute("select count(*) from scrape").fetchone()
    history.tidy(end + timedelta(hours=1))
    history.append(end, {CONNECTIONS: 1.0})
    with History.open(path, create=False) as other:
        assert other.last_scrape() == end
    assert reader.execute("select count(*) from scrape").fetchone() == before
    reader.close()


def test_who_logged_in_is_kept_once(history: History) -> None:
    who = [("app", "web", "10.0.0.1"), ("app", "web", "10.0.0.2"), ("ana", "psql", "")]
    history.saw(who, START)
    history.saw(who[:1], START + seconds(60))
    history.saw(who[:1], START - seconds(60))
    found = {(one.role, one.application, one.address): one for one in history.sessions(START - timedelta(days=1))}
    assert set(found) == set(who)
    first = found[who[0]]
    assert (first.first_seen, first.last_seen) == (START - seconds(60), START + seconds(60))
    assert [one.address for one in history.sessions(START + seconds(30))] == ["10.0.0.1"]


def test_an_application_with_a_number_in_its_name_does_not_fill_it(history: History) -> None:
    history.saw([("ana", "psql", "")], START)
    for batch in range(11):
        history.saw([("app", f"worker {batch}-{one}", "") for one in range(1000)], START + seconds(batch + 1))
    found = history.sessions(START - timedelta(days=1))
    assert len(found) == 10_000
    assert found[0].application.startswith("worker 10-")


def test_a_log_that_is_left_of_a_deleted_file_is_not_taken_for_the_new_one_s(path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    child.stdout.readline()
    child.kill()
    child.wait()
    child.stdout.close()
    path.unlink()
    assert path.with_name(path.name + "-wal").stat().st_size
    with History.open(path, create=True) as history:
        assert history.latest() == {}
        assert history.said == []
        history.append(START, {CONNECTIONS: 1.0})
        assert history.latest() == {CONNECTIONS: (START, 1.0)}


WRITER = """
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tabsync.monitoring.history.history import History

with History.open(Path(sys.argv[1]), create=True) as history:
    first = history.last_scrape()
    at = first + timedelta(seconds=60) if first else datetime(2026, 11, 1, tzinfo=UTC)
    while True:
        history.append(at, {("m", str(one)): float(one) for one in range(30)})
        if at.minute % 20 == 0:
            history.tidy(at)
        print(at.isoformat(), flush=True)
        at += timedelta(seconds=60)
"""


def test_killed_at_any_moment_it_has_what_it_said_it_has(path: Path) -> None:
    """Killed 12 times, while it appends and folds: nothing is lost that was said to be there, nothing is twice."""
    chance = random.Random(1)
    said = 0
    for _ in range(12):
        child = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None
        said += bool(child.stdout.readline())
        time.sleep(chance.random() * 0.25)
        child.send_signal(signal.SIGKILL)
        said += len(child.stdout.read().splitlines())
        child.wait()
        child.stdout.close()
        with History.open(path, create=False) as reader:
            last = reader.last_scrape()
            assert last is not None
            kept = (last - datetime(2026, 11, 1, tzinfo=UTC)) // timedelta(minutes=1) + 1
            assert said <= kept
            said = kept
            whole = (datetime(2026, 11, 1, tzinfo=UTC), last + seconds(1))
            for points in (20, 400):
                for line in reader.series("m", None, *whole, points):
                    assert sum(one.count for one in line.points) == kept, line.label
                    assert {one.low for one in line.points} == {float(line.label)}


def test_how_many_sessions_passed_unseen_is_known_while_somebody_counts(history: History) -> None:
    def at(minute: int, sessions: int, fresh: int | None, key: str = "5 1") -> Passed:
        moment = START + timedelta(minutes=minute)
        history.counted(Counted(sessions, key, moment, fresh), moment)
        return history.logins(START)

    assert at(0, 100, 3) == Passed(0, 0)  # of what was before nothing is known
    assert (at(1, 110, 2).unseen, at(2, 111, 1).unseen) == (8, 8)
    assert at(3, 113, 5).unseen == 8  # no more are there than began: the others' count comes a moment later
    assert at(4, 7, 1, "5 2").established == 13  # the statistics were reset, or it is another database
    assert at(5, 6, 0, "5 2").established == 13
    assert at(5, 9, 0, "5 2").established == 13  # the clock stood still
    assert at(6, 19, 1, "5 2").unseen == 8 + 9
    found = at(7, 29, None, "5 2")
    assert (found.established, found.unseen, found.since) == (33, None, START.replace(minute=0))
    assert history.logins(START + timedelta(hours=1)) == Passed(0, 0)
