"""make bench: measure, and write docs/benchmarks.md. One part: make bench ARGS='--only physical'."""

from __future__ import annotations

import argparse
import shutil
from contextlib import ExitStack
from pathlib import Path

from benchmarks.parts import PARTS, Bench
from benchmarks.report import written

_ROOT = Path(__file__).parents[1]


def main() -> None:
    """Run everything, or what was asked for, and write its sections of the page after each part."""
    parser = argparse.ArgumentParser(prog="make bench ARGS=...", description=__doc__)
    parser.add_argument("--only", choices=list(PARTS), action="append", help="may be given several times")
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
    with ExitStack() as stack:
        bench = Bench(home, given.orders, given.dataset, given.rounds, say, stack)
        for name, measure in PARTS.items():
            if not given.only or name in given.only:
                section = measure(bench)
                before = given.output.read_text() if given.output.exists() else ""
                given.output.parent.mkdir(parents=True, exist_ok=True)
                given.output.write_text(written(before, section))
    print(given.output.read_text())


def say(line: str) -> None:
    """Tell how far it is."""
    print(line, flush=True)


main()
