"""The items of the schedule as the console shows them, with what an admin may do with each."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from tabsync.console.base.days import Day, Days
from tabsync.schedule.expected import zone_of
from tabsync.schedule.items import Item
from tabsync.schedule.judge import Mark, Record, State, Verdict
from tabsync.schedule.list import following, newest
from tabsync.schedule.look import Look, records_of
from tabsync.schedule.newest import Standing
from tabsync.schedule.words import moment, told
from tabsync.service.run_item import ByHand, started_by_hand

if TYPE_CHECKING:
    from tabsync.workspace import Workspace

_BY_HAND = timedelta(days=1)  # for which a run that a person started, and that failed, is told


@dataclass(frozen=True, slots=True)
class Row:
    """An item as it is shown.

    state: of its newest occurrence, and told: it in words, "" when it was never due; before: what became of the one
    before it, where that is what is overdue; next: when it is due, in words; skipped: who skipped that one already;
    approved: who approved it, and when; by_hand: how a run ended that a person started; run: the id of the run that is
    under way; settled: nothing waits to be done or was missed; here: it is not for another host's service.
    """

    item: Item
    days: list[Day]
    state: str
    told: str
    before: str
    overdue: bool
    next: str
    skipped: Mark | None
    approved: Mark | None
    running: bool
    run: str
    by_hand: str
    settled: bool
    here: bool

    @property
    def bad(self) -> bool:
        """Whether somebody has to look at it."""
        return self.overdue and not self.running

    @property
    def needs_approval(self) -> bool:
        """Whether it isn't started before somebody approves it."""
        return bool(self.item.approval) and self.item.built and self.approved is None

    @property
    def may_run(self) -> bool:
        """Whether it can be started now."""
        clocked = self.item.when.kind in ("clock", "every")
        able = bool(self.item.words) and self.item.built and self.here
        return clocked and able and not (self.needs_approval or self.running)

    @property
    def may_skip(self) -> bool:
        """Whether an occurrence of it can be skipped."""
        return self.item.when.kind in ("clock", "every") and self.item.built and (bool(self.next) or not self.settled)

    @property
    def may_tick(self) -> bool:
        """Whether a person can say that it is done."""
        return self.item.is_task and (self.item.is_gate or bool(self.next) or not self.settled)


def rows_of(workspace: Workspace, seen: Look, days: Days) -> list[Row]:
    """Each item, in the order of the manual."""
    found = days.of(workspace, seen)
    latest = newest(workspace, seen)
    known = records_of(workspace, seen, seen.now)
    by_hand = started_by_hand(workspace, seen.items)
    under_way = {row["item"] for row in workspace.ledger().read("open_occurrences")}
    return [
        _row(one, found[one.key], latest.get(one.key), known[one.key], by_hand.get(one.key), under_way, seen, workspace)
        for one in seen.items
    ]


def _row(
    item: Item,
    days: list[Day],
    standing: Standing | None,
    record: Record,
    hand: ByHand | None,
    under_way: set[str],
    seen: Look,
    workspace: Workspace,
) -> Row:
    zone = zone_of(item.when, seen.here)
    due = following(seen, item)
    last = standing.newest if standing else None
    earlier = standing is not None and standing.is_overdue and standing.settled is not last
    return Row(
        item=item,
        days=days,
        state=state_of(last),
        told=told(last, zone) if last else "",
        before=told(standing.settled, zone) if standing and earlier else "",
        overdue=standing is not None and standing.is_overdue,
        next=moment(due, zone),
        skipped=_skipped(record, due),
        approved=record.approved(item) if item.approval else None,
        running=item.key in under_way or (hand is not None and hand.ended is None),
        run=hand.run if hand is not None and hand.ended is None else "",
        by_hand=_by_hand(hand, last, seen),
        settled=last is None or last.state in (State.DONE, State.SKIPPED) or last.caught_up is not None,
        here=item.terms.on in ("", workspace.service_name),
    )


def state_of(verdict: Verdict | None) -> str:
    """The word by which a page chooses shape and colour."""
    if verdict is None:
        return "nothing due"
    return "missed, caught up" if verdict.state is State.MISSED and verdict.caught_up else verdict.state.value


def _skipped(record: Record, due: datetime | None) -> Mark | None:
    mark = record.mark(due) if due else None
    return mark if mark is not None and mark.kind == "skip" else None


def _by_hand(hand: ByHand | None, last: Verdict | None, seen: Look) -> str:
    """What is said of a run that a person started and that did not end well; the ledger may know nothing of it."""
    ended = hand.ended if hand else None
    if hand is None or ended is None or ended.exit == 0 or seen.now - hand.since > _BY_HAND:
        return ""
    if last is not None and last.state is State.DONE and last.at is not None and last.at > hand.since:
        return ""
    why = ended.fact or (f"exit code {ended.exit}" if ended.exit is not None else "its process died")
    return f"started by hand {moment(hand.since, seen.here)}: {why}"
