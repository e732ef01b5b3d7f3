"""What an operator may have done, the same on a page and through the API."""

from __future__ import annotations

from tabsync.kernel.errors import BadUsage, NotAllowed
from tabsync.kernel.plan import Plan
from tabsync.kernel.procedure import Procedure, Surface
from tabsync.kernel.step import Risk
from tabsync.ledger.operators import Operator, may
from tabsync.procedures import find, on


def startable(words: str, operator: Operator, surface: Surface) -> Procedure:
    """A procedure that a surface can start for an operator. Raises BadUsage for any other, NotAllowed."""
    found = find(words)
    if found is None or not found.plan or surface not in found.surfaces:
        names = ", ".join(one.words for one in on(surface))
        where = "API" if surface is Surface.API else "console"
        raise BadUsage(f"the {where} can't start {words!r}", f"it can start: {names}")
    if not may(operator, found.operator):
        raise NotAllowed(
            f"{operator.name} is a {operator.role}; {words} needs a role of {found.operator}", "ask an admin"
        )
    return found


def check_may_run(plan: Plan, operator: Operator) -> None:
    """Raise NotAllowed when a plan destroys something and the operator is no admin."""
    if plan.risk is Risk.DESTRUCTIVE and not may(operator, "admin"):
        raise NotAllowed("this plan destroys something: only an admin may have it done", "ask an admin")
