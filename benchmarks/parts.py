"""The parts of the benchmark: each can run by itself, and has a section of docs/benchmarks.md."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from benchmarks.admission import measure_admission
from benchmarks.collector import measure_collector
from benchmarks.difference import ROWS, measure_difference
from benchmarks.history import SERIES, measure_history
from benchmarks.measure import Figures, Measured, Series, blank, measure
from benchmarks.migrating import MANY, measure_migrating
from benchmarks.objects import measure_objects
from benchmarks.physical import measure_physical
from benchmarks.place import Subject, subject
from benchmarks.reading import ENTRIES, measure_reading
from benchmarks.recording import measure_recording
from benchmarks.recovery import Say, away, deduplicated, restored
from benchmarks.report import drill_lines, dump_rows
from benchmarks.rescue import lost, rows
from benchmarks.schedule import measure_schedule
from benchmarks.sealing import measure_sealing, measure_traffic
from benchmarks.startup import start_up
from benchmarks.telling import measure_telling


@dataclass
class Bench:
    """What the parts work with. rounds: how often each thing runs; found: what the dumps of this run gave, if any."""

    home: Path
    orders: int
    dataset: Path | None
    rounds: int
    say: Say
    open: ExitStack
    found: Figures | None = None

    @cached_property
    def subject(self) -> Subject:
        """The server with the data, from when it is first needed to the end."""
        self.say("the data, and a server for it (minutes, the first time)")
        return self.open.enter_context(subject(self.home, self.orders, self.dataset))


@dataclass(slots=True)
class Section:
    """What a part found. what: it was measured on; lines: of Markdown, below the tables."""

    title: str
    what: str
    measured: list[Measured]
    runs: list[Series]
    lines: list[str] = field(default_factory=list)


def _dumps(bench: Bench) -> Section:
    bench.found = figures = measure(bench.subject, bench.rounds, bench.say)
    rows_ = [*dump_rows(figures), *restored(bench.subject, figures, bench.say)]
    runs = [figures.bare, figures.ours, figures.custom, *figures.more]
    return Section("Dumps", str(bench.subject), rows_, runs, drill_lines(figures))


def _away(bench: Bench) -> Section:
    figures = bench.found or blank(bench.subject)
    figures.more = []
    found = away(bench.subject, figures, bench.rounds, bench.say)
    return Section("To an object store", str(bench.subject), found, figures.more)


def _again(bench: Bench) -> Section:
    return Section("What is stored again", str(bench.subject), deduplicated(bench.subject, bench.say), [])


def _rows(bench: Bench) -> Section:
    return Section("One user back", str(bench.subject), rows(bench.subject, bench.rounds, bench.say), [])


def _physical(bench: Bench) -> Section:
    what, found, runs = measure_physical(bench.home, bench.orders, bench.dataset, bench.found, bench.rounds, bench.say)
    return Section("Physical backups", what, found, runs)


def _lost(bench: Bench) -> Section:
    return Section("A server that vanishes", "pgbench at scale 5", lost(bench.rounds, bench.say), [])


def _start(bench: Bench) -> Section:
    bench.say("start-up")
    found, runs = start_up(bench.home)
    return Section("Start-up", "an empty database, in turns", found, runs)


def _objects(bench: Bench) -> Section:
    return Section("Many objects", "tables made for it", measure_objects(bench.subject, bench.say), [])


def _schedule(bench: Bench) -> Section:
    found, runs = measure_schedule(bench.home, bench.rounds, bench.say)
    return Section("The schedule", "a ledger of a year, written for it, and an empty database", found, runs)


def _collector(bench: Bench) -> Section:
    what, found, runs, lines = measure_collector(bench.rounds, bench.say)
    return Section("The collector", what, found, runs, lines)


def _history(bench: Bench) -> Section:
    return Section("The history", f"{SERIES} series, every 15 s", measure_history(bench.home, bench.say), [])


def _telling(bench: Bench) -> Section:
    return Section("Telling", "an almost empty database", measure_telling(bench.home, bench.say), [])


def _audit(bench: Bench) -> Section:
    found = [*measure_recording(bench.say), *measure_sealing(bench.say), *measure_traffic(bench.say)]
    return Section("The audit log", "the profile's database, synchronous_commit off", found, [])


def _reading(bench: Bench) -> Section:
    found = measure_reading(bench.home, bench.say)
    return Section("Reading the audit log", f"{ENTRIES:,} entries in one partition, synchronous_commit off", found, [])


def _migrating(bench: Bench) -> Section:
    found, runs = measure_migrating(bench.home, bench.rounds, bench.say)
    return Section(
        "Migrations", f"histories of {MANY}, with their files; a deployment of nothing; in turns", found, runs
    )


def _difference(bench: Bench) -> Section:
    found, runs, lines = measure_difference(bench.home, bench.rounds, bench.say)
    what = f"{ROWS:,} rows of six columns, two databases of one server"
    return Section("Two databases compared", what, found, runs, lines)


def _admission(bench: Bench) -> Section:
    what = "three restaurants, orders one by one, synchronous_commit off, the server's processor time"
    return Section("Orders admitted", what, measure_admission(bench.say), [])


PARTS: dict[str, Callable[[Bench], Section]] = {
    "dumps": _dumps,
    "azurite": _away,
    "again": _again,
    "rows": _rows,
    "physical": _physical,
    "lost": _lost,
    "objects": _objects,
    "start": _start,
    "schedule": _schedule,
    "collector": _collector,
    "history": _history,
    "telling": _telling,
    "audit": _audit,
    "reading": _reading,
    "migrating": _migrating,
    "difference": _difference,
    "admission": _admission,
}
"""By the names that --only takes; in this order, since some use what those before left."""
