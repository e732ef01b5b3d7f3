"""The checklist after an incident: what the ledger knows is a fact, and people tick the rest off or leave it out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tabsync.incidents.incident import Incident
from tabsync.kernel.clock import iso
from tabsync.kernel.errors import NotRecorded
from tabsync.kernel.step import Facts
from tabsync.ledger.evidence import evidence_since
from tabsync.manual.parts import BY

if TYPE_CHECKING:
    from tabsync.manual.model import Manual
    from tabsync.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Box:
    """One box. number: from 1; by: the fact that it is, "" for a person; waived: it was left out for a reason; how: by
    what it is so, or by whom."""

    number: int
    text: str
    by: str
    done: bool
    waived: bool
    how: str

    @property
    def is_open(self) -> bool:
        """Whether somebody has to do something about it."""
        return not (self.done or self.waived)

    def to_json(self) -> Facts:
        """It for programs."""
        return {name: getattr(self, name) for name in self.__slots__}


def boxes(workspace: Workspace, manual: Manual, incident: Incident) -> list[Box]:
    """The boxes of the manual's checklist, by what is known now; of a closed incident as they were."""
    return list(_boxes(workspace, manual, incident))


def _boxes(workspace: Workspace, manual: Manual, incident: Incident) -> Iterator[Box]:
    checklist = next((one for one in manual.checklists if "incident" in one.title.lower()), None)
    for number, item in enumerate(checklist.items if checklist else (), start=1):
        match = BY.search(item.text)
        text, by = (item.text[: match.start()], match[1]) if match else (item.text, "")
        said = incident.boxes.get(text) or incident.boxes.get(str(number))  # by number: of an earlier version
        if said is not None:
            waived = bool(said.get("waived"))
            how = f"{'left out' if waived else 'ticked off'} by {said['who']}" + (
                f": {said['text']}" if said["text"] else ""
            )
            yield Box(number, text, by, not waived, waived, how)
            continue
        how = _known(workspace, incident, by) if by else ""
        yield Box(number, text, by, bool(how), False, how)


def _known(workspace: Workspace, incident: Incident, by: str) -> str:
    """What shows that a fact is so, in words; "" while nothing does."""
    since = iso(incident.opened_at)
    if by == "timeline":
        return "it writes itself"
    if by == "cause":
        return incident.cause
    if by == "actions":
        return "all of them are done" if incident.actions and all(one.done_at for one in incident.actions) else ""
    if by == "manual":
        digest = workspace.manual_digest()
        return "the manual was changed since" if digest and digest != incident.facts.get("manual") else ""
    try:
        found = evidence_since(workspace.record(), "drill", ok=True, limit=1)
    except NotRecorded:
        return ""
    return f"a drill passed at {found[0]['at'][:16]} UTC" if found and found[0]["at"] > since else ""
