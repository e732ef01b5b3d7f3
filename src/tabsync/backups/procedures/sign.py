"""tabsync backup sign: what one may ask of it, its plan, what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from tabsync.kernel.page import Page
from tabsync.kernel.request import Argument

if TYPE_CHECKING:
    from tabsync.kernel.plan import Plan
    from tabsync.kernel.procedure import Done
    from tabsync.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Sign:
    """What one may ask of backup sign."""

    backups: Annotated[
        tuple[str, ...], Argument("Backups to sign (default: all that this ledger recorded).", "ID")
    ] = ()


def plan_sign(workspace: Workspace, request: Sign) -> Plan:
    """Plan to sign what has no signature that counts."""
    from tabsync.backups.sign import plan_sign as plan

    return plan(workspace, request.backups)


def show_sign(done: Done[Workspace, Sign]) -> Page:
    """What was signed, and what is left."""
    signed = done.results["sign"]["signed"] if done.outcome else []
    left = done.workspace.store().manifests()[1]
    page = Page("sign", {"signed": signed, "left": [one.fact for one in left]} | done.planned.plan.target)
    page.line(f"Signed: {', '.join(signed)}." if signed else "There was nothing to sign.")
    for problem in left:
        page.note(problem.fact)
    for hint in dict.fromkeys(problem.hint for problem in left):
        page.hint(hint)
    return page
