"""tabsync schedule compliance: of all that was expected, how much was done, and what was not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tabsync.kernel.clock import iso
from tabsync.kernel.errors import BadUsage
from tabsync.kernel.page import Page, Part
from tabsync.kernel.request import Option
from tabsync.kernel.step import Facts
from tabsync.kernel.units import parse_duration
from tabsync.schedule.expected import zone_of
from tabsync.schedule.items import Item
from tabsync.schedule.judge import BAD, State, Verdict
from tabsync.schedule.look import Look, judged, look
from tabsync.schedule.words import as_json, item_as_json, moment, told

if TYPE_CHECKING:
    from tabsync.workspace import Workspace

_OPEN = (State.EXPECTED, State.OPEN, State.WAITING, State.RUNNING, State.NOT_BUILT, State.ELSEWHERE)
"""What can't be counted yet, or is not this host's to do."""

_SHOWN = 40


@dataclass(frozen=True, slots=True)
class Compliance:
    """What one may ask of schedule compliance."""

    since: Annotated[str, Option("How far back to look: 90d, 1 year.")] = "90d"
    html: Annotated[Path | None, Option("Write it as one page to be printed.", metavar="FILE")] = None


@dataclass(slots=True)
class Tally:
    """One item over a span: how often it was in each state, and its occurrences that were not done."""

    item: Item
    counts: Counter[State] = field(default_factory=Counter)
    caught_up: int = 0
    bad: list[Verdict] = field(default_factory=list)

    @property
    def judged(self) -> int:
        """How many occurrences can be judged."""
        return sum(count for state, count in self.counts.items() if state not in _OPEN)

    @property
    def share(self) -> float | None:
        """Which part of them was done in time, or skipped for a reason, in percent; None when none could be."""
        good = self.counts[State.DONE] + self.counts[State.SKIPPED]
        return 100 * good / self.judged if self.judged else None

    def to_json(self) -> Facts:
        """The tally for programs."""
        return item_as_json(self.item) | {
            "percent": self.share,
            "states": {state.value: count for state, count in self.counts.items()},
            "caught_up": self.caught_up,
            "not_done": [as_json(one) for one in self.bad],
        }


def look_compliance(workspace: Workspace, request: Compliance) -> Page:
    """How much of what was expected was done."""
    seen = look(workspace)
    start = _start(request.since, seen)
    tallies = tally(judged(workspace, seen, start, seen.now))
    total = _total(tallies.values())
    data = {"since": iso(start), "until": iso(seen.now), "percent": total, "in_force_since": _first(seen)}
    page = Page("schedule compliance", data | {"items": [one.to_json() for one in tallies.values()]})
    if not seen.versions:
        page.line(("Nothing is known: no manual was ever in force. ", "warning"), "To keep the schedule: tabsync serve")
        return page
    share = "nothing was due yet" if total is None else f"{total:.1f} % of what was due was done in time"
    page.line((f"{share}, since {moment(start, seen.here)}", "strong good" if total == 100 else "strong"))
    page.table(
        ("Item", "When", "Done", "Missed", "Failed", "Other"), _rows(tallies), right=("Done", "Missed", "Failed")
    )
    worst = [one for item in tallies.values() for one in item.bad][-_SHOWN:]
    if worst:
        page.line("What was not done, the newest first:")
        page.table(("Due", "Item", "What became of it"), _not_done(reversed(worst), seen), whole=("Item",))
    if request.html is not None:
        from tabsync.schedule.html import write

        write(request.html, page, f"Schedule compliance: {workspace.name or 'this database'}")
        page.line(f"Written to {request.html}.", whole=True)
    return page


def tally(verdicts: Sequence[Verdict]) -> dict[str, Tally]:
    """Verdicts, by the items' keys."""
    found: dict[str, Tally] = {}
    for one in verdicts:
        kept = found.setdefault(one.occurrence.item.key, Tally(one.occurrence.item))
        kept.item = one.occurrence.item
        kept.counts[one.state] += 1
        kept.caught_up += one.caught_up is not None
        if one.state in BAD or one.state is State.UNKNOWN:
            kept.bad.append(one)
    return found


def _rows(tallies: Mapping[str, Tally]) -> list[tuple[Part, ...]]:
    rows: list[tuple[Part, ...]] = []
    for one in tallies.values():
        missed, failed = one.counts[State.MISSED], one.counts[State.FAILED] + one.counts[State.PROVED_NOTHING]
        late = f"{missed} ({one.caught_up} caught up)" if one.caught_up else str(missed)
        others = ", ".join(
            f"{count} {state.value}"
            for state, count in one.counts.items()
            if state not in (State.DONE, State.MISSED, State.FAILED, State.PROVED_NOTHING)
        )
        rows.append(
            (
                one.item.name,
                one.item.schedule,
                str(one.counts[State.DONE]),
                (late, "bad" if missed else ""),
                (str(failed), "bad" if failed else ""),
                others,
            )
        )
    return rows


def _not_done(verdicts: Iterable[Verdict], seen: Look) -> list[tuple[str, str, str]]:
    rows = []
    for one in verdicts:
        zone = zone_of(one.occurrence.item.when, seen.here)
        rows.append((moment(one.occurrence.due, zone), one.occurrence.item.name, told(one, zone)))
    return rows


def _total(tallies: Iterable[Tally]) -> float | None:
    found = [one for one in tallies if one.judged]
    judged_ = sum(one.judged for one in found)
    good = sum(one.counts[State.DONE] + one.counts[State.SKIPPED] for one in found)
    return 100 * good / judged_ if judged_ else None


def _first(seen: Look) -> str | None:
    return iso(seen.versions[0].at) if seen.versions else None


def _start(text: str, seen: Look) -> datetime:
    try:
        span = parse_duration(text)
    except ValueError:
        raise BadUsage(f"--since {text!r} is not a span of time", "write it as 90d or '1 year'") from None
    return max(seen.now - span, seen.now - timedelta(days=3660))
