"""Writes docs/benchmarks.md: ratios first, then what they come from, on which data, with which versions."""

from __future__ import annotations

import os
import platform
from datetime import date
from typing import Any

from benchmarks.measure import Figures, Series
from benchmarks.place import Subject
from benchmarks.recovery import Measured
from tabsync import __version__
from tabsync.kernel.units import human_bytes
from tabsync.postgres.installation import embedded

TARGET_BARE, TARGET_CUSTOM, TARGET_START = 1.15, 1 / 6, 2.0


def page(subject: Subject, figures: Figures, recovery: list[Measured], start_up: tuple[Series, Series]) -> str:
    """The whole page as Markdown."""
    ours, peer = start_up
    drill: Any = figures.report
    verdict = drill["verdict"]
    backup = sorted(figures.drill_backup)[len(figures.drill_backup) // 2]
    worst = max(backup, figures.ours.typical)
    ratios = [
        _ratio("Backup step of the drill, against bare pg_dump", backup / figures.bare.typical, TARGET_BARE),
        _ratio(
            "`tabsync backup take full`, the whole process", figures.ours.typical / figures.bare.typical, TARGET_BARE
        ),
        _ratio(
            "The slower of the two, against `pg_dump --format=custom`", worst / figures.custom.typical, TARGET_CUSTOM
        ),
        _ratio("`tabsync --help`, against importing typer and rich", ours.typical / peer.typical, TARGET_START),
    ]
    series = [figures.bare, figures.ours, figures.custom, *figures.more, peer, ours]
    return "\n".join(
        [
            "# Benchmarks",
            "",
            "Written by `make bench`; do not edit. Every peer ran in the same run, turn by turn, on the same data.",
            "",
            f"Data: {subject.what}, {human_bytes(subject.bytes)}. {_machine()}. {date.today().isoformat()}.",
            "",
            "| What | Ratio | At most | |",
            "|---|---:|---:|---|",
            *ratios,
            *(_measured(one) for one in recovery),
            "",
            "| Run | Median | All | Wrote |",
            "|---|---:|---|---:|",
            *(_row(one) for one in series),
            "",
            "## The drill",
            "",
            f"{verdict['sentence']}. RTO {verdict['rto_seconds']:.1f} s, RPO {verdict['rpo_seconds']:.1f} s.",
            "",
            "| Step | Seconds |",
            "|---|---:|",
            *(f"| {step['title']} | {step['seconds']:.2f} |" for step in drill["steps"]),
            "",
        ]
    )


def _ratio(what: str, ratio: float, target: float) -> str:
    return f"| {what} | {ratio:.3f} | {target:.3f} | {'met' if ratio <= target else '**missed**'} |"


def _measured(one: Measured) -> str:
    unit = f" {one.unit}" if one.unit else ""
    figure, bound = f"{one.figure:.3f}{unit}", f"{one.bound:.3f}{unit}"
    return f"| {one.what} | {figure} | {bound} | {'met' if one.met else '**missed**'}{one.note} |"


def _row(series: Series) -> str:
    runs = ", ".join(f"{seconds:.2f}" for seconds in series.seconds[:5])
    wrote = human_bytes(series.bytes) if series.bytes else ""
    return f"| `{series.name}` | {series.typical:.2f} s | {runs}{' ...' if len(series.seconds) > 5 else ''} | {wrote} |"


def _machine() -> str:
    return (
        f"PostgreSQL {embedded().dotted}, tabsync {__version__}, Python {platform.python_version()},"
        f" {os.cpu_count()} cores, {platform.system()} {platform.machine()}"
    )
