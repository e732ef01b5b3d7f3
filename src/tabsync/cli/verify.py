"""tabsync backup verify: several plans, one after the other, for --deep of all backups."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tabsync.backups.procedures.verify import Verify
    from tabsync.cli.terminal import Terminal


def verify_command(terminal: Terminal, request: Verify) -> int:
    """Verify one backup, or all of them."""
    from tabsync.backups.procedures.verify import plans_of, verdicts
    from tabsync.cli.terminal import print_json

    found = terminal.workspace()
    plans = plans_of(found, request)
    if terminal.dry_run and terminal.json and len(plans) > 1:  # stdout is one JSON document
        documents = [{"digest": one.digest(), **one.to_json()} for one in plans]
        print_json({"version": 1, "kind": "plans", "plans": documents})
        return 0
    if terminal.dry_run:
        for plan in plans:
            terminal.plan(plan)
        return 0
    outcomes = []
    for plan in plans:
        outcomes.append(terminal.run(found, plan))
        verdicts(found, outcomes[-1:])  # what stopped it before there was a verdict is raised before the next begins
    page = verdicts(found, outcomes)
    terminal.page(page)
    return int(page.exit_code)
