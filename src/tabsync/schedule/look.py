"""What everybody sees of the schedule, computed by who looks: the scheduler may be dead."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import TYPE_CHECKING

from tabsync.kernel.clock import now
from tabsync.kernel.errors import BadUsage
from tabsync.manual.load import read
from tabsync.manual.model import Manual
from tabsync.schedule.expected import Occurrence, Version, expected, zone_named
from tabsync.schedule.items import Item, items_of
from tabsync.schedule.judge import Record, Verdict, judge_all
from tabsync.schedule.record import all_items, known_subject, records, versions
from tabsync.schedule.services import Service, services
from tabsync.system.zone import machine_zone

if TYPE_CHECKING:
    from tabsync.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Look:
    """The schedule as it stands. items: of today's manual; versions: those that were in force; now: when this was.

    trouble: why today's manual can't be followed; then the items are those of the last one that was in force.
    """

    manual: Manual
    items: tuple[Item, ...]
    versions: Sequence[Version]
    services: Sequence[Service]
    now: datetime
    here: tzinfo
    subject: str
    trouble: str = ""

    @property
    def keeping(self) -> Service | None:
        """The service that was heard of last."""
        return max(self.services, key=lambda one: one.beat_at, default=None)

    @property
    def silent_since(self) -> datetime | None:
        """Since when nobody keeps the schedule, as far as is known; None while somebody does, or nobody ever did."""
        found = self.keeping
        return found.beat_at if found is not None and found.is_silent(self.now) else None

    @property
    def zone(self) -> tzinfo:
        """In which zone a list of several items is told: theirs, where they name one and the same, else the machine's.

        Times of several zones under one another would be read as those of one.
        """
        found = {one.when.zone for one in self.items if one.when.zone}
        return zone_named(found.pop(), self.here) if len(found) == 1 else self.here

    @property
    def names(self) -> Collection[str]:
        """What the services here are called."""
        return [one.name for one in self.services]

    @property
    def rpo(self) -> timedelta | None:
        """How much may be lost."""
        return self.manual.targets.rpo.value if self.manual.targets else None

    def item(self, name: str) -> Item:
        """The item of a name. Raises BadUsage when there is none."""
        found = next((one for one in self.items if name in (one.name, one.key, one.text)), None)
        if found is not None:
            return found
        near = [one.name for one in self.items if one.name.startswith(name.lower())]
        if len(near) == 1:
            return self.item(near[0])
        hint = f"did you mean one of {', '.join(near)}?" if near else "to list them: tabsync schedule list"
        raise BadUsage(f"the schedule has no item {name!r}", hint)

    def upcoming(self, start: datetime, end: datetime) -> list[Occurrence]:
        """What today's manual expects in a span, as if it had always been in force."""
        fresh = Version(start, self.manual.digest, tuple(_again(one) for one in self.items))
        return expected([fresh], start, end, self.here)


def look(workspace: Workspace) -> Look:
    """Read the manual and what the ledger says of its schedule, where it can't be followed as it was in force last.

    Raises BadUsage when there is no manual, nor ever was one in force.
    """
    ledger = workspace.ledger()
    found, trouble = versions(ledger), ""
    try:
        manual, problems = read(workspace.manual_path)
        if problems and found:
            trouble = f"the manual is not valid: {problems[0].described(workspace.manual_path.name)}"
    except BadUsage as error:
        if not found:
            raise
        manual, trouble = Manual(), error.fact
    items = found[-1].items if trouble else items_of(manual)
    subject = known_subject(workspace)
    return Look(manual, items, found, services(ledger), now(), machine_zone(), subject, trouble)


def judged(workspace: Workspace, seen: Look, start: datetime, end: datetime) -> list[Verdict]:
    """Each occurrence that was expected in a span by the manuals in force, and what became of it."""
    latest = max(end, seen.now)
    # Until when something missed was done after all shows only by when it was due again.
    occurrences = expected(seen.versions, start, latest, seen.here)
    known = records_of(workspace, seen, start)
    verdicts = judge_all(occurrences, known, seen.now, seen.names, seen.rpo, seen.here)
    return [one for one in verdicts if one.occurrence.due < end]


def records_of(workspace: Workspace, seen: Look, start: datetime) -> dict[str, Record]:
    """All that is on record since a moment of each item that ever was."""
    items = {one.key: one for one in [*all_items(seen.versions), *seen.items]}
    return records(workspace.ledger(), items.values(), seen.manual, seen.subject, start)


def _again(item: Item) -> Item:
    from dataclasses import replace

    return replace(item, first=False)


def wake(workspace: Workspace) -> None:
    """Have the service look again now."""
    workspace.home.mkdir(parents=True, exist_ok=True)
    path = workspace.home / "wake"
    path.touch()
