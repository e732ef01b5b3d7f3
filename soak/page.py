"""docs/soak.md: for each part a section with its last run; the other sections stay as they are."""

from __future__ import annotations

import os
import re
from datetime import date
from pathlib import Path

from soak.part import Part
from tabsync import __version__

_HEAD = """# Soak runs

Written by `make soak`; do not edit. Each section is the last run of one part: `make soak PARTS=databases`.
"""


def write(path: Path, part: Part) -> None:
    """Put a part's figures into the page."""
    text = path.read_text(encoding="utf-8") if path.exists() else _HEAD
    own = re.compile(rf"^## {re.escape(part.name)}\n.*?(?=^## |\Z)", re.MULTILINE | re.DOTALL)
    path.write_text(own.sub("", text).rstrip() + "\n\n" + section(part), encoding="utf-8")


def section(part: Part) -> str:
    """A part's figures as a table."""
    columns = list(dict.fromkeys(column for figures in part.done.values() for column in figures))
    about = f"{date.today().isoformat()}, tabsync {__version__}, {os.cpu_count()} cores, seed {part.seed}."
    lines = [f"## {part.name}", "", about, ""]
    lines += [f"| What | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    for what, figures in part.done.items():
        lines.append(f"| {what} | {' | '.join(figures.get(column, '') for column in columns)} |")
    return "\n".join(lines) + "\n"
