"""Steps that take back what an earlier one did for the time being: orders that are paused have to come in again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tabsync.kernel.procedure import Procedure
from tabsync.manual.model import Runbook, Step
from tabsync.procedures import named_in

if TYPE_CHECKING:
    from tabsync.runbooks.guide import Guide


def is_for_now(runbook: Runbook, step: Step) -> bool:
    """Whether a later step of the runbook takes it back: then it is no cure, and nothing recovers by it."""
    return any(_takes_back(later, step) for later in runbook.steps if later.number > step.number)


def way_back(guide: Guide) -> Step | None:
    """The first open step that takes back what was done, or may have been; None when nothing is left."""
    done = [one for one in guide.runbook.steps if _may_have_acted(guide, one)]
    open_ones = (one for one in guide.runbook.steps if guide.row(one.number)["state"] not in ("done", "skipped"))
    return next((one for one in open_ones if any(_takes_back(one, earlier) for earlier in done)), None)


def _may_have_acted(guide: Guide, step: Step) -> bool:
    """Whether it was done, or a run of it was begun: one that failed or died may have done what it was to do."""
    row = guide.row(step.number)
    return bool(row["state"] in ("done", "interrupted", "running") or (row["facts"] or {}).get("runs"))


def _takes_back(later: Step, earlier: Step) -> bool:
    undone_by = {one.undone_by for one in _procedures(earlier) if one.undone_by}
    return later.number > earlier.number and any(one.words in undone_by for one in _procedures(later))


def _procedures(step: Step) -> Iterator[Procedure]:
    found = (named_in(one.words) for one in step.commands)
    return (one[0] for one in found if one)
