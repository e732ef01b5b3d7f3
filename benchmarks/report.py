"""Writes docs/benchmarks.md: a section for each part, ratios first, then what they come from and on what."""

from __future__ import annotations

import os
import platform
import re
from datetime import date
from typing import TYPE_CHECKING, Any

from benchmarks.measure import Figures, Measured, Series
from tabsync import __version__
from tabsync.kernel.units import human_bytes
from tabsync.postgres.installation import embedded

if TYPE_CHECKING:
    from benchmarks.parts import Section

_HEAD = """# Benchmarks

Written by `make bench`; do not edit. Every peer ran in the same run, turn by turn, on the same data. A part can be
measured by itself (`make bench ARGS="--only physical"`), so each section says on what and when that was.
"""


def written(before: str, section: Section) -> str:
    """The page with a section in place of the one of its title; a new one comes last."""
    sections = dict(re.findall(r"^## ([^\n]+)\n(.*?)(?=^## |\Z)", before, re.MULTILINE | re.DOTALL))
    if not before.startswith(_HEAD):
        sections = {}  # of a version that wrote the page in another way
    sections[section.title] = "\n" + "\n".join(_lines(section)).strip() + "\n"
    return _HEAD + "".join(f"\n## {title}\n\n{text.strip()}\n" for title, text in sections.items())


def dump_rows(figures: Figures) -> list[Measured]:
    """The bounds of a dump, and of the drill's backup step."""
    backup = sorted(figures.drill_backup)[len(figures.drill_backup) // 2]
    bare, ours = figures.bare.typical, figures.ours.typical
    slower = max(backup, ours) / figures.custom.typical
    return [
        Measured("Backup step of the drill, against bare pg_dump", backup / bare, 1.15),
        Measured("`tabsync backup take full`, the whole process", ours / bare, 1.15),
        Measured("The slower of the two, against `pg_dump --format=custom`", slower, 1 / 6),
    ]


def drill_lines(figures: Figures) -> list[str]:
    """The last drill and its steps."""
    drill: Any = figures.report
    verdict = drill["verdict"]
    return [
        f"The drill: {verdict['sentence']}. RTO {verdict['rto_seconds']:.1f} s, RPO {verdict['rpo_seconds']:.1f} s.",
        "",
        "| Step | Seconds |",
        "|---|---:|",
        *(f"| {step['title']} | {step['seconds']:.2f} |" for step in drill["steps"]),
    ]


def _lines(section: Section) -> list[str]:
    lines = [f"Data: {section.what}. {_machine()}. {date.today().isoformat()}.", ""]
    lines += ["| What | Figure | At most | |", "|---|---:|---:|---|", *map(_measured, section.measured), ""]
    if section.runs:
        lines += ["| Run | Median | All | Wrote |", "|---|---:|---|---:|", *map(_row, section.runs), ""]
    return [*lines, *section.lines]


def _measured(one: Measured) -> str:
    unit = f" {one.unit}" if one.unit else ""
    figure, bound = f"{one.figure:.3f}{unit}", f"{one.bound:.3f}{unit}"
    return f"| {one.what} | {figure} | {bound} | {'met' if one.met else '**missed**'}{one.note} |"


def _row(series: Series) -> str:
    runs = ", ".join(f"{seconds:.2f}" for seconds in series.seconds[:5])
    wrote = human_bytes(series.bytes) if series.bytes else ""
    return f"| `{series.name}` | {series.typical:.2f} s | {runs}{' ...' if len(series.seconds) > 5 else ''} | {wrote} |"


def _machine() -> str:
    load = os.getloadavg()[2]
    return (
        f"PostgreSQL {embedded().dotted}, tabsync {__version__}, Python {platform.python_version()},"
        f" {os.cpu_count()} cores, {platform.system()} {platform.machine()}, load over 15 minutes {load:.1f}"
    )
