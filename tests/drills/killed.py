"""A drill that kills itself with SIGKILL: python -m tests.drills.killed WORKSPACE.json before|after|during STEP."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

from tabsync.backups.drill.drill import plan_drill, run_drill
from tabsync.kernel.runner import Quiet
from tabsync.kernel.step import Step
from tabsync.manual.load import load
from tabsync.workspace import Workspace


class KillDuring(Quiet):
    """Kills the process at the first progress that a step reports."""

    def __init__(self, key: str) -> None:
        self.key, self.open = key, ""

    def step_started(self, number: int, total: int, step: Step) -> None:
        self.open = step.key

    def progress(self, done: float, total: float, unit: str) -> None:
        if self.open == self.key:
            os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    """Drill until the named moment."""
    values, moment, key = json.loads(Path(sys.argv[1]).read_text()), sys.argv[2], sys.argv[3]
    home, store_root, manual = (Path(values[name]) for name in ("home", "store_root", "manual_path"))
    workspace = Workspace(home, values["conninfo"], store_root, manual, values["ledger_url"])
    plan = plan_drill(workspace, load(workspace.manual_path))

    def boundary(which: str, step: str) -> None:
        if (which, step) == (moment, key):
            os.kill(os.getpid(), signal.SIGKILL)

    run_drill(workspace, plan, KillDuring(key) if moment == "during" else Quiet(), boundary)


if __name__ == "__main__":
    main()
