"""The schedule: what it costs to look at a year of it, and what the service costs, idle and with much to do."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from statistics import median

from tests.servers import running_server

from benchmarks.measure import TABSYNC, Measured, Series, cpu_of_children
from benchmarks.recovery import Say
from benchmarks.service import idle, many_due
from benchmarks.startup import WITH_PSYCOPG, compared
from benchmarks.year import home_of_a_year
from tabsync.postgres import catalog
from tabsync.postgres.connect import connect
from tabsync.stores.manifest import subject_of

_EXPECT = """
import json, sys, time
from datetime import timedelta
from pathlib import Path
from tabsync.schedule.expected import expected
from tabsync.schedule.look import look
from tabsync.workspace import find
seen = look(find(Path(sys.argv[1])))
before = time.process_time()
found = expected(seen.versions, seen.now - timedelta(days=365), seen.now, seen.here)
print(json.dumps([len(found), time.process_time() - before]))
"""


def measure_schedule(home: Path, rounds: int, say: Say) -> tuple[list[Measured], list[Series]]:
    """All of it, on homes that are made for it."""
    place = home / "schedule"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    say("a year of 40 items")
    all_of_it = home_of_a_year(place / "year", often=True)
    rare = home_of_a_year(place / "rare", often=False)
    found = [_expected(all_of_it.config, rounds), *_compliance(rare.config, all_of_it.config, rounds)]
    with running_server("schedule", max_connections="40") as server:
        (place / "year" / "tabsync.toml").write_text(_config(server.conninfo()))
        listed, runs = compared(place / "year", {("schedule", "list"): (WITH_PSYCOPG, 2.5)}, times=rounds * 3)
        say("serve, idle for a minute")
        quiet = home_of_a_year(place / "quiet", often=False, faults=False, subject=_subject(server.conninfo()))
        quiet.config.write_text(_config(server.conninfo()))
        found += [*listed, *idle(quiet.config)]
        say("50 items that are due at once")
        found += many_due(place / "many", server.conninfo())
    shutil.rmtree(place)
    return found, runs


def _config(conninfo: str) -> str:
    return f'database = "{conninfo}"\nmanual = "manual.md"\nstore = "store"\nhome = "home"\n'


def _subject(conninfo: str) -> str:
    with connect(conninfo, "bench") as connection:
        return subject_of(catalog.identity(connection))


def _expected(config: Path, rounds: int) -> Measured:
    """In a process of its own each time: what was found once is kept in memory."""
    told = [
        json.loads(subprocess.run([sys.executable, "-c", _EXPECT, str(config)], capture_output=True, check=True).stdout)
        for _ in range(rounds)
    ]
    seconds = median(one[1] for one in told)
    return Measured(
        "Expected occurrences of 40 items over a year, of a processor", seconds, 1.5, "s", f" ({told[0][0]:,} of them)"
    )


def _compliance(rare: Path, often: Path, rounds: int) -> list[Measured]:
    """What a year costs a processor more than an hour does: the program's start is the same. The least of several."""
    year, hour = _turns(rare, rounds * 5)
    all_year, all_hour = _turns(often, rounds)
    what = "Compliance of a year of 32 items that are due less often than hourly, of a processor"
    more = f"; with 8 more items that are due 250,000 times: {all_year - all_hour:.2f} s, no bound"
    return [Measured(what, year - hour, 0.1, "s", more)]


def _turns(config: Path, rounds: int) -> tuple[float, float]:
    """Seconds of a processor that the whole command takes for a year, and for an hour, in turns."""
    taken: dict[str, list[float]] = {"1 year": [], "1 hour": []}
    for _ in range(rounds):
        for since, seconds in taken.items():
            words = [str(TABSYNC), "schedule", "compliance", "--since", since, "--config", str(config)]
            before = cpu_of_children()
            subprocess.run(words, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            seconds.append(cpu_of_children() - before)
    return min(taken["1 year"]), min(taken["1 hour"])
