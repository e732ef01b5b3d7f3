"""The tests of which `make test` has a short form, whole: each file by itself."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

from soak.part import Part, Say

_ROOT = Path(__file__).parents[1]
_SHORT = "from tests.whole import"


def run(part: Part, say: Say) -> None:
    """Run each file that has a short form with everything in it; raises SystemExit when a test fails."""
    files = sorted(path for path in (_ROOT / "tests").rglob("test_*.py") if _SHORT in path.read_text(encoding="utf-8"))
    for file in files:
        name = str(file.relative_to(_ROOT / "tests"))
        if name in part.done:
            continue
        started = time.monotonic()
        command = [sys.executable, "-m", "pytest", "-n", "2", str(file)]
        whole = {**os.environ, "TABSYNC_TESTS": "whole"}
        done = subprocess.run(command, cwd=_ROOT, env=whole, capture_output=True, text=True, check=False)
        figures = re.findall(r"(\d+) (passed|failed|skipped|error)", done.stdout)
        told = ", ".join(f"{count} {what}" for count, what in figures)
        say(f"{name}: {told or done.stdout[-300:]}")
        if done.returncode:
            raise SystemExit(done.stdout)
        part.finish(name, {"tests": told, "seconds": f"{time.monotonic() - started:.0f}"})
