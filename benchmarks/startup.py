"""Commands that do little, against importing the libraries that they need: at 3 in the morning nobody waits gladly."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.servers import running_server

from benchmarks.measure import TABSYNC, Measured, Series

_LIBRARIES = "import click, rich.console"
WITH_PSYCOPG = f"{_LIBRARIES}, psycopg"
_COMMANDS: dict[tuple[str, ...], tuple[str, float]] = {
    ("--help",): (_LIBRARIES, 2.0),
    ("health",): (WITH_PSYCOPG, 2.5),
    ("run", "list"): (WITH_PSYCOPG, 2.5),
    ("backup", "list"): (WITH_PSYCOPG, 2.5),
    ("status",): (WITH_PSYCOPG, 4.0),
}
"""Each with its peer, and how many times as long it may take."""


def start_up(home: Path, times: int = 9) -> tuple[list[Measured], list[Series]]:
    """Each command and its peer, turn by turn, on an empty database, with a ledger that is there already."""
    with running_server("start", max_connections="20") as server:
        place = home / "start"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        (place / "tabsync.toml").write_text(f'database = "{server.conninfo()}"\nstore = "store"\nhome = "home"\n')
        _seconds([str(TABSYNC), "status"], place)
        found, runs = compared(place, _COMMANDS, times)
        shutil.rmtree(place)
    return found, runs


def compared(
    place: Path, commands: Mapping[tuple[str, ...], tuple[str, float]], times: int = 9
) -> tuple[list[Measured], list[Series]]:
    """Commands in a directory with a tabsync.toml, each with its peer in turns."""
    found, runs = [], []
    for words, (libraries, bound) in commands.items():
        peer, ours = Series(f"python -c '{libraries}'"), Series(" ".join(("tabsync", *words)))
        for number in range(times + 1):
            for series, argv in ((peer, [sys.executable, "-c", libraries]), (ours, [str(TABSYNC), *words])):
                seconds = _seconds(argv, place)
                if number:  # the first one reads the files from disk
                    series.seconds.append(seconds)
        runs += [peer, ours]
        found.append(Measured(f"`{ours.name}`, against `{peer.name}`", ours.typical / peer.typical, bound))
    return found, runs


def _seconds(argv: Sequence[str], place: Path) -> float:
    started = time.perf_counter()
    subprocess.run(argv, check=False, cwd=place, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - started
