"""A restore that kills itself: python -m tests.drills.killed_restore WORKSPACE.json before|after|during STEP KIND."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

from tabsync.backups.restore.in_place import plan_restore_in_place
from tabsync.backups.restore.new import plan_restore_new
from tabsync.backups.restore.rows.restore import compared, plan_write_rows
from tabsync.backups.restore.tables import plan_restore_tables
from tabsync.kernel.plan import Plan
from tabsync.kernel.runner import Quiet, run
from tabsync.workspace import Workspace
from tests.drills.killed import KillDuring


def main() -> None:
    """Restore until the named moment."""
    values, moment, key, kind = json.loads(Path(sys.argv[1]).read_text()), *sys.argv[2:5]
    home, store_root, manual = (Path(values[name]) for name in ("home", "store_root", "manual_path"))
    workspace = Workspace(home, values["conninfo"], store_root, manual, values["ledger_url"])

    def boundary(which: str, step: str) -> None:
        if (which, step) == (moment, key):
            os.kill(os.getpid(), signal.SIGKILL)

    def carry_out(plan: Plan) -> None:
        listener = KillDuring(key) if moment == "during" else Quiet()
        run(plan, workspace, workspace.journal(), listener, boundary=boundary)

    if kind == "rows":
        with compared(workspace, "payments", "true") as found:
            carry_out(plan_write_rows(workspace, found))
    elif kind == "new":
        carry_out(plan_restore_new(workspace, "latest", f"{found_name(values)}_new"))
    elif kind == "tables":
        carry_out(plan_restore_tables(workspace, ["users", "orders"], into=f"{found_name(values)}_into")[0])
    else:
        carry_out(plan_restore_in_place(workspace))


def found_name(values: dict[str, str]) -> str:
    """The name of the workspace's database."""
    from psycopg.conninfo import conninfo_to_dict

    return str(conninfo_to_dict(values["conninfo"])["dbname"])


if __name__ == "__main__":
    main()
