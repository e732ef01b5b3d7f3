"""What is measured: each peer and we ourselves, turn by turn, on the same data in the same minutes."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.place import Subject
from tabsync.postgres.conninfo import libpq_environment
from tabsync.postgres.installation import embedded

TABSYNC = Path(sys.executable).with_name("tabsync")
_PG_DUMP = str(embedded().program("pg_dump"))


@dataclass(slots=True)
class Series:
    """Seconds of one thing, run several times; bytes: of what it wrote; cpu: seconds of processor time that it took."""

    name: str
    seconds: list[float] = field(default_factory=list)
    bytes: int = 0
    cpu: list[float] = field(default_factory=list)

    @property
    def typical(self) -> float:
        """The median."""
        return median(self.seconds)


@dataclass(frozen=True, slots=True)
class Measured:
    """A figure against its bound. unit: "" for a ratio, "s" or "MB"."""

    what: str
    figure: float
    bound: float
    unit: str = ""
    note: str = ""

    @property
    def met(self) -> bool:
        """Whether the bound holds."""
        return self.figure <= self.bound


@dataclass(slots=True)
class Figures:
    """Everything that one run of the benchmark found. custom_file: the custom dump, kept for its restore.

    more: what the other measurements ran.
    """

    bare: Series
    custom: Series
    ours: Series
    custom_file: Path
    report: dict[str, Any] = field(default_factory=dict)
    drill_backup: list[float] = field(default_factory=list)
    drill_rto: list[float] = field(default_factory=list)
    more: list[Series] = field(default_factory=list)


def blank(subject: Subject) -> Figures:
    """Nothing measured yet."""
    return Figures(
        Series("pg_dump -Fd -j2 --compress=zstd:1"),
        Series("pg_dump --format=custom"),
        Series("tabsync backup take full"),
        subject.home / "custom.dump",
    )


def measure(subject: Subject, rounds: int, say: Callable[[str], None]) -> Figures:
    """Dump with pg_dump and with tabsync, turn by turn, then the drill. The first, unmeasured, dump warms the cache."""
    figures = blank(subject)
    place = subject.home / "out"
    env = libpq_environment(subject.conninfo)
    run_bare(subject, Series("to warm the cache"))
    for number in range(rounds):
        say(f"round {number + 1} of {rounds}")
        run_bare(subject, figures.bare)
        _add(figures.ours, [str(TABSYNC), "backup", "take", "full", "--json"], place, ours(subject, place))
        drill = _drill(subject, place)
        figures.report = drill
        steps = {step["key"]: step["seconds"] for step in drill["steps"]}
        figures.drill_backup.append(steps["dump"] + steps["keep"] + steps["commit"])
        figures.drill_rto.append(drill["verdict"]["rto_seconds"])
    say("pg_dump --format=custom")
    _add(figures.custom, [_PG_DUMP, "--format=custom", f"--file={place / 'dump'}"], place, env)
    (place / "dump").rename(figures.custom_file)
    shutil.rmtree(place, ignore_errors=True)
    return figures


def run_bare(subject: Subject, series: Series) -> None:
    """The peer of every backup: PostgreSQL's own program on two cores, to a local directory."""
    place = subject.home / "out"
    argv = [_PG_DUMP, "--format=directory", "--jobs=2", "--compress=zstd:1", f"--file={place / 'dump'}"]
    _add(series, argv, place, libpq_environment(subject.conninfo))


def _add(series: Series, argv: Sequence[str], place: Path, env: Mapping[str, str]) -> None:
    before = cpu_of_children()
    seconds, size = _timed(argv, place, env)
    series.seconds.append(seconds)
    series.cpu.append(cpu_of_children() - before)
    series.bytes = size


def cpu_of_children() -> float:
    """Seconds of processor time of all that we started and that has ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _timed(argv: Sequence[str], place: Path, env: Mapping[str, str]) -> tuple[float, int]:
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    os.sync()  # nobody pays for what the one before left unwritten
    started = time.perf_counter()
    subprocess.run(argv, check=True, env={**os.environ, **env}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    seconds = time.perf_counter() - started
    return seconds, sum(path.stat().st_size for path in place.rglob("*") if path.is_file())


def _drill(subject: Subject, place: Path) -> dict[str, Any]:
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    os.sync()
    env = {**os.environ, **ours(subject, place)}
    done = subprocess.run([str(TABSYNC), "drill", "--json"], env=env, capture_output=True, text=True, check=False)
    report: dict[str, Any] = json.loads(done.stdout)
    if "verdict" not in report:
        raise SystemExit(done.stdout + done.stderr)
    return report


def ours(subject: Subject, place: Path) -> dict[str, str]:
    """The environment in which tabsync works on what is measured, with its store below a place."""
    manual = subject.home / "manual.md"
    config = subject.home / "tabsync.toml"
    config.write_text(f'database = "{subject.conninfo}"\nstore = "{place}/store"\nhome = "{subject.home}/state"\n')
    if manual.exists():
        config.write_text(config.read_text() + f'manual = "{manual}"\n')
    return {"TABSYNC_CONFIG": str(config)}
