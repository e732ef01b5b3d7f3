"""Prints what the tests did not reach: the lines of the rooms that everything stands on, and the figure over all.

`make coverage` counts in the tests' own processes. What a test starts as a program of its own is not seen: most of
cli/ and of demo/ runs, and counts as not covered. https://coverage.readthedocs.io/en/latest/branch.html
"""

from __future__ import annotations

import io
import sys

from coverage import Coverage
from coverage.exceptions import CoverageException

ROOMS = ("kernel", "stores", "copies")


def main() -> int:
    """Print the list and the figure, from .coverage in this directory; returns 2 when there is none."""
    counted = Coverage()
    try:
        counted.load()
        for room in ROOMS:
            print(f"\nNot covered in {room}/ (lines; 12->15: never went from line 12 to 15)")
            counted.report(include=[f"src/tabsync/{room}/*"], show_missing=True, skip_covered=True, skip_empty=True)
        whole = counted.report(file=io.StringIO())
    except CoverageException as error:
        print(f"error: {error}\nhint: make coverage", file=sys.stderr)
        return 2
    print(f"\nCovered: {whole:.1f} % of the lines and branches of tabsync")
    return 0


if __name__ == "__main__":
    sys.exit(main())
