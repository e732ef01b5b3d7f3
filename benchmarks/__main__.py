"""make bench: measure, and write docs/benchmarks.md. Options: --orders, --rounds, --dataset FILE, --output FILE."""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from benchmarks.measure import measure, start_up
from benchmarks.objects import measure_objects
from benchmarks.place import subject
from benchmarks.recovery import measure_recovery
from benchmarks.report import page
from benchmarks.rescue import measure_rescue

_ROOT = Path(__file__).parents[1]


def main() -> None:
    """Run everything and write the page."""
    parser = argparse.ArgumentParser(prog="make bench ARGS=...", description=__doc__)
    parser.add_argument("--orders", type=int, default=2_400_000, help="2,400,000 make about 3 GB")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dataset", type=Path, help="a SQL file to fill the database with instead")
    parser.add_argument("--output", type=Path, default=_ROOT / "docs" / "benchmarks.md")
    parser.add_argument("--fresh", action="store_true", help="make the data anew")
    given = parser.parse_args()
    home = _ROOT / ".tabsync" / "bench"
    if given.fresh:
        shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True, exist_ok=True)
    say("the data, and a server for it (minutes, the first time)")
    with subject(home, given.orders, given.dataset) as measured:
        figures = measure(measured, given.rounds, say)
        recovery = measure_recovery(measured, figures, given.rounds, say)
        recovery += measure_rescue(measured, figures, given.rounds, say)
        recovery += measure_objects(measured, say)
    say("start-up")
    text = page(measured, figures, recovery, start_up())
    given.output.parent.mkdir(parents=True, exist_ok=True)
    given.output.write_text(text)
    print(text)


def say(line: str) -> None:
    """Tell how far it is."""
    print(line, flush=True)


main()
