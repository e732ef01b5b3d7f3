"""A run that lingers until it is told to end: python -m tests.postgres.ledger.lingering HOME LEDGER CLAIM..."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from tabsync.cli.edge import stop_on_sigterm
from tabsync.kernel.plan import Plan
from tabsync.kernel.runner import run
from tabsync.kernel.step import Context, Facts, Risk, Step, call
from tabsync.workspace import Workspace


def linger(context: Context[Workspace]) -> Facts:
    """Sleep, for longer than any test waits."""
    time.sleep(120)
    return {}


def tidy(context: Context[Workspace]) -> Facts:
    """Leave a sign that what was half made is taken away."""
    (context.workspace.home / f"tidied-{context.run_id}").touch()
    return {}


def plan_of(*claims: str, procedure: str = "restore rows") -> Plan:
    """A run that claims some objects."""
    steps = (
        Step("linger", "Linger", call(linger), claims=claims),
        Step("tidy", "Tidy", call(tidy), risk=Risk.REVERSIBLE, undo="no undo needed", always=True),
    )
    return Plan(procedure, "Linger", steps, {"database": "shop"})


def main(home: str, ledger: str, *claims: str) -> int:
    """Run it; says when it has begun."""
    stop_on_sigterm()
    place = Path(home)
    workspace = Workspace(place, "", place / "store", place / "manual.md", ledger)

    def begun(_which: str, _key: str) -> None:
        sys.stdout.write("begun\n")
        sys.stdout.flush()

    outcome = run(plan_of(*claims), workspace, workspace.journal(), boundary=begun)
    workspace.close()
    return 1 if outcome.error else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
