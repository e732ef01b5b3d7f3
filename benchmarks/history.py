"""The history: what it costs to keep and to read 200 series, and what the ledger beside it notices of that."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from statistics import median, quantiles
from urllib.parse import urlsplit

import httpx

from benchmarks.measure import Measured
from benchmarks.recovery import Say
from tabsync.console.serve import start
from tabsync.kernel.clock import now
from tabsync.kernel.plan import Plan
from tabsync.kernel.step import Facts, Step, call
from tabsync.ledger.operators import add_operator, one_operator, start_session
from tabsync.manual.load import read
from tabsync.monitoring.history.history import History
from tabsync.profiles.tabsync import PROFILE_MANUAL
from tabsync.workspace import Context, Workspace

SERIES = 200
_LABELS = 10  # of the metric whose chart is read
_METRIC = "dead tuples"
_SCRAPE = timedelta(seconds=15)
_ENTRIES = 400  # runs that are entered into the ledger

_WRITER = """
import sys
from datetime import timedelta
from pathlib import Path
from benchmarks.history import Values
from tabsync.kernel.clock import now
from tabsync.monitoring.history.history import History

values, at = Values(), now()
with History.open(Path(sys.argv[1]), create=True) as history:
    print("ready", flush=True)
    while True:
        history.append(at, values.next())
        at += timedelta(seconds=15)
        if at.minute == 0 and at.second < 15:
            history.tidy(at)
"""


class Values:
    """Values of 200 series as a database has them: most stay or move a little, some are noise."""

    def __init__(self) -> None:
        self._chance = random.Random(17)
        names = [(_METRIC, f"public.table_{number}") for number in range(_LABELS)]
        titles = [one.title.lower() for one in read(PROFILE_MANUAL)[0].metrics if one.title.lower() != _METRIC]
        names += [(titles[one % len(titles)], f"label {one // len(titles)}") for one in range(SERIES - _LABELS)]
        self._values = {name: float(self._chance.randint(0, 1_000_000)) for name in names}

    def next(self) -> dict[tuple[str, str], float]:
        """The next scrape."""
        for number, name in enumerate(self._values):
            if number % 4 == 0:
                self._values[name] += self._chance.randint(-3, 5)
            elif number % 10 == 1:
                self._values[name] = self._chance.random()
        return self._values


def measure_history(home: Path, say: Say) -> list[Measured]:
    """All of it, in a home that is made for it."""
    place = home / "history"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    workspace = Workspace(
        place, "dbname=nowhere", place / "store", PROFILE_MANUAL, f"sqlite:///{place / 'ledger.sqlite'}"
    )
    say("thirty days of 200 series (two minutes)")
    try:
        found = [*_kept(place / "history.sqlite"), *_read(workspace)]
        say("the ledger beside a collector that writes without a pause")
        found += _beside(workspace)
    finally:
        workspace.close()
        shutil.rmtree(place)
    return found


def _kept(path: Path) -> list[Measured]:
    """Thirty days, the last two of them in full: what is older is rolled up, from as many points either way."""
    values, end = Values(), now()
    taken: list[float] = []
    with History.open(path, create=True) as history:
        _fill(history, values, end - timedelta(days=30), end - timedelta(days=2), timedelta(minutes=5), [])
        _fill(history, values, end - timedelta(days=2), end - timedelta(days=1), _SCRAPE, taken)
        before = history.tidy(end - timedelta(days=1)).size
        folds = _fill(history, values, end - timedelta(days=1), end, _SCRAPE, taken)
        grown = history.tidy(end).size - before
    percentiles = quantiles(taken, n=100)
    return [
        Measured(
            "A scrape of 200 series, kept", median(taken) * 1000, 5, "ms", f"; p99 {percentiles[98] * 1000:.1f} ms"
        ),
        Measured("An hour of it, folded", median(folds) * 1000, 1000, "ms"),
        Measured(
            "The file grows in a day, at 15 s", grown / 1e6, 20, "MB", "; raw goes after 7 days, 5 minutes after 30"
        ),
    ]


def _fill(
    history: History, values: Values, at: datetime, end: datetime, every: timedelta, taken: list[float]
) -> list[float]:
    """Append until a moment, fold each hour; returns the seconds of each fold."""
    folds = []
    while at < end:
        found, before = values.next(), time.perf_counter()
        history.append(at, found, tried={_METRIC: ""})
        taken.append(time.perf_counter() - before)
        after = at + every
        if after.hour != at.hour:
            before = time.perf_counter()
            history.tidy(after)
            folds.append(time.perf_counter() - before)
        at = after
    return folds


def _read(workspace: Workspace) -> list[Measured]:
    def lines() -> None:
        with History.open(workspace.home / "history.sqlite", create=False) as history:
            assert len(history.series(_METRIC, None, now() - timedelta(days=30), now(), 360)) == _LABELS

    found = [Measured(f"Thirty days of {_LABELS} labels, read", _typical(lines), 100, "ms")]
    with _console(workspace) as client:
        for path, what in (
            ("/metrics/dead-tuples?range=30d", f"The chart of thirty days of {_LABELS} labels, the whole answer"),
            ("/metrics/dead-tuples?range=24h", "The same of a day"),
            ("/metrics", "The list of all metrics with their last day, the whole answer"),
        ):
            found.append(Measured(what, _typical(lambda path=path: _get(client, path)), 100, "ms"))  # type: ignore[misc]
    return found


def _get(client: httpx.Client, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 200 and ("data-history" in answer.text or path == "/metrics"), path


def _typical(what: Callable[[], None]) -> float:
    """Milliseconds: the median of eleven times, after one that opens the files."""
    what()
    taken = []
    for _ in range(11):
        before = time.perf_counter()
        what()
        taken.append((time.perf_counter() - before) * 1000)
    return median(taken)


@contextmanager
def _console(workspace: Workspace) -> Iterator[httpx.Client]:
    ledger = workspace.ledger()
    add_operator(ledger, "bench", "a password of the benchmark", "viewer", by="bench")
    token, _ = start_session(ledger, one_operator(ledger, "bench"))
    running = start(workspace)
    cookie = {f"tabsync-{urlsplit(running.url).port}": token}
    try:
        with httpx.Client(base_url=running.url, cookies=cookie, trust_env=False, timeout=30) as client:
            yield client
    finally:
        running.stop()


def nothing(_context: Context) -> Facts:
    """A step that does nothing."""
    return {}


def _beside(workspace: Workspace) -> list[Measured]:
    """How long a run waits to be entered into the ledger, alone and beside a collector."""
    plan = Plan("bench", "Nothing", (Step("nothing", "Do nothing", call(nothing), claims=("bench",)),))
    alone = _entries(workspace, plan)
    writer = subprocess.Popen(
        [sys.executable, "-c", _WRITER, str(workspace.home / "history.sqlite")], stdout=subprocess.PIPE, text=True
    )
    try:
        assert writer.stdout is not None and writer.stdout.readline() == "ready\n"
        beside = _entries(workspace, plan)
        assert writer.poll() is None
    finally:
        writer.kill()
        writer.wait()
    what = "A run's entry in the ledger, beside a collector that writes without a pause, p99"
    note = f"; median {median(beside) * 1000:.0f} ms, most {max(beside) * 1000:.0f} ms; alone p99 {_p99(alone):.0f} ms"
    return [Measured(what, _p99(beside), 200, "ms", note)]


def _entries(workspace: Workspace, plan: Plan) -> list[float]:
    taken = []
    journal = workspace.journal()
    for _ in range(_ENTRIES):
        before = time.perf_counter()
        run = journal.begin(plan, "not needed")
        taken.append(time.perf_counter() - before)
        journal.finish(run, "done")
    return taken


def _p99(seconds: list[float]) -> float:
    return quantiles(seconds, n=100)[98] * 1000
