"""Whether the console is whole; imports little, so that `serve` can ask before it starts anything."""

from __future__ import annotations

from pathlib import Path

from tabsync import __version__
from tabsync.kernel.errors import Refused

STATIC = Path(__file__).parents[1] / "static"

FETCHED = ("htmx.min.js", "pico.min.css", "uplot.min.css", "uplot.min.js")
"""Below static/vendor: what is not written here, but fetched when a wheel is built or a checkout is set up."""


def check_complete() -> None:
    """Check that what was fetched is there: no page goes without. Raises Refused."""
    missing = [name for name in FETCHED if not (STATIC / "vendor" / name).is_file()]
    if missing:
        again = f"pip install --force-reinstall --no-deps tabsync-{__version__}-py3-none-any.whl"
        checkout = (STATIC.parents[3] / "scripts" / "vendor.py").is_file()
        hint = "to fetch them: make setup" if checkout else f"install the wheel again: {again}"
        raise Refused(f"the console's front-end files are missing: {', '.join(missing)}", hint)
