"""Connection limits that we have set for a while: on record in the ledger, with what was before."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from tabsync.kernel.clock import local, now, parse_iso
from tabsync.kernel.errors import TabsyncError
from tabsync.kernel.step import Facts
from tabsync.ledger.evidence import add_evidence, evidence_since

if TYPE_CHECKING:
    from tabsync.workspace import Workspace

KIND = "connection limit"
"""The kind of evidence; its subject is the role."""

_GRACE = timedelta(minutes=1)  # the service undoes it within seconds
_RECENT = 500  # entries of the ledger to look through


@dataclass(frozen=True, slots=True)
class Limited:
    """A role's limit for a while. place: the database; before: what the limit was, -1 for none; until: ISO."""

    role: str
    place: str
    limit: int
    before: int
    until: str

    def is_over(self, moment: datetime) -> bool:
        """Whether it is to be undone."""
        return parse_iso(self.until) <= moment

    def is_overdue(self, moment: datetime) -> bool:
        """Whether it should have been undone by now."""
        return parse_iso(self.until) + _GRACE <= moment

    def told(self) -> str:
        """The limit in words."""
        return f"{self.role} may have {self.limit} connections until {local(self.until)}"


def begin(workspace: Workspace, one: Limited, run_id: str | None = None) -> None:
    """Record a limit before it is set: whatever happens then, it is undone."""
    facts = asdict(one) | {"state": "in force"}
    add_evidence(workspace.ledger(), KIND, one.role, ok=False, facts=facts, run_id=run_id)


def over(workspace: Workspace, one: Limited, why: str, run_id: str) -> None:
    """Record that a limit is in force no more. why: "undone", or who else changed it."""
    add_evidence(workspace.ledger(), KIND, one.role, ok=True, facts=asdict(one) | {"state": why}, run_id=run_id)


def in_force(workspace: Workspace) -> list[Limited]:
    """The limits that we have set and not undone, of all databases of the ledger; none where it can't be read."""
    try:
        found = evidence_since(workspace.ledger(), KIND, limit=_RECENT)
    except TabsyncError:
        return []
    last: dict[tuple[str, str], Facts] = {}
    for one in found:
        last.setdefault((one["facts"]["role"], one["facts"]["place"]), one["facts"])
    names = Limited.__dataclass_fields__
    return [Limited(**{name: facts[name] for name in names}) for facts in last.values() if facts["state"] == "in force"]


def limit_of(workspace: Workspace, role: str) -> Limited | None:
    """The limit that we have set for a role of this workspace's database."""
    return next((one for one in _here(workspace) if one.role == role), None)


def to_undo(workspace: Workspace) -> list[Limited]:
    """Those whose time is over, in this workspace's database."""
    moment = now()
    return [one for one in _here(workspace) if one.is_over(moment)]


def _here(workspace: Workspace) -> list[Limited]:
    found = in_force(workspace)
    if not found:
        return []
    from tabsync.postgres.conninfo import place  # each command comes here, few have a limit to look for

    here = place(workspace.conninfo)
    return [one for one in found if one.place == here]
