"""A monthly drill that kills itself: python -m tests.drills.killed_monthly WORKSPACE.json before|after STEP STAGING."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

from tabsync.backups.drill.monthly import plan_monthly
from tabsync.kernel.runner import run
from tabsync.manual.load import load
from tabsync.workspace import Workspace


def main() -> None:
    """Drill on staging until the named moment."""
    values, moment, key, staging = json.loads(Path(sys.argv[1]).read_text()), *sys.argv[2:5]
    home, store_root, manual = (Path(values[name]) for name in ("home", "store_root", "manual_path"))
    workspace = Workspace(home, values["conninfo"], store_root, manual, values["ledger_url"])
    planned = plan_monthly(workspace, load(workspace.manual_path), staging)

    def boundary(which: str, step: str) -> None:
        if (which, step) == (moment, key):
            os.kill(os.getpid(), signal.SIGKILL)

    run(planned.plan, planned.workspace, workspace.journal(), boundary=boundary)


if __name__ == "__main__":
    main()
