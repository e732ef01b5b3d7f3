"""Runs the real `tabsync` in a process and a directory of its own, with nothing of ours in its environment."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.forked import run

TABSYNC = Path(sys.executable).with_name("tabsync")


@dataclass(frozen=True)
class Done:
    """What a command left."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Its stdout as the one JSON document that it is."""
        return json.loads(self.out)


def environment(directory: Path, **more: str) -> dict[str, str]:
    """A plain environment: no colours asked for, no database, a home that is the directory."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    return kept | {"HOME": str(directory), "LC_ALL": "C.UTF-8"} | more


def tabsync(directory: Path, *words: str | Path, timeout: float = 60, program: Path = TABSYNC, **env: str) -> Done:
    """Run a command to its end. Whatever it was told to do, it never shows a traceback."""
    done = run([program, *words], directory, environment(directory, **env), timeout)
    assert "Traceback" not in done.stderr + done.stdout, done.stderr
    return Done(done.returncode, done.stdout, done.stderr)
