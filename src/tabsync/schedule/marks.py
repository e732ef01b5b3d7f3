"""tabsync schedule skip, done, approve: what a person says of an item, on record with name and reason."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated

from tabsync.kernel.clock import iso, parse_iso
from tabsync.kernel.errors import BadUsage, Refused
from tabsync.kernel.page import Page
from tabsync.kernel.plain import in_one_line
from tabsync.kernel.plan import Plan
from tabsync.kernel.procedure import Done as DoneRun
from tabsync.kernel.request import Argument, Option
from tabsync.kernel.step import Facts, Risk, Step, call
from tabsync.schedule.expected import Occurrence, zone_of
from tabsync.schedule.items import Item, item_from_json
from tabsync.schedule.judge import BAD, Record, State, Verdict, judge_all
from tabsync.schedule.list import following
from tabsync.schedule.look import Look, look, records_of, wake
from tabsync.schedule.newest import newest_due, span_of
from tabsync.schedule.record import add_mark
from tabsync.schedule.words import moment

if TYPE_CHECKING:
    from tabsync.workspace import Context, Workspace


@dataclass(frozen=True, slots=True)
class Skip:
    """What one may ask of schedule skip."""

    item: Annotated[str, Argument("The item: its short name, as schedule list prints it.")]
    reason: Annotated[str, Option("Why; it is shown wherever the item is.")]


@dataclass(frozen=True, slots=True)
class Done:
    """What one may ask of schedule done."""

    item: Annotated[str, Argument("The task: its short name, or its text.")]
    note: Annotated[str, Option("What was found.")] = ""


@dataclass(frozen=True, slots=True)
class Approve:
    """What one may ask of schedule approve."""

    item: Annotated[str, Argument("The item: its short name, as schedule list prints it.")]


def plan_skip(workspace: Workspace, request: Skip) -> Plan:
    """Plan to skip the occurrence that is due now, or else the next one. Raises Refused when there is none to skip."""
    seen = look(workspace)
    item = seen.item(request.item)
    if not request.reason.strip():
        raise BadUsage("--reason is empty", "say why it is skipped: it is shown wherever the item is")
    known, newest = _newest(workspace, seen, item)
    one = newest.occurrence if newest and not _settled(newest) else _next(seen, item)
    if newest and newest.state in (*BAD, State.UNKNOWN) and newest.caught_up is None:
        due = _when(newest.occurrence, seen)
        fact = f"{item.name}, due {due}, is {newest.state.value}: that is not undone by skipping"
        raise Refused(fact, f"to do it now: tabsync schedule run {item.name}")
    if newest and newest.state is State.SKIPPED and seen.now < newest.occurrence.until:
        raise _already(newest.occurrence, newest.who, "skipped", seen)
    if one is None:
        raise Refused(f"{item.name} is not due at any time that is known", f"tabsync schedule show {item.name}")
    if (mark := known.mark(one.due)) is not None and mark.kind == "skip":
        raise _already(one, mark.who, "skipped", seen)
    return _plan(item, "skip", f"Skip {item.name}, due {_when(one, seen)}", request.reason, one.due, _when(one, seen))


def plan_done(workspace: Workspace, request: Done) -> Plan:
    """Plan to tick a task off. Raises BadUsage when it is a command, which is done when its evidence is there."""
    seen = look(workspace)
    item = seen.item(request.item)
    if not item.is_task:
        raise BadUsage(
            f"{item.name} is a command: it is done when it has run", f"to run it now: tabsync schedule run {item.name}"
        )
    if item.is_gate:
        return _plan(item, "done", f"Tick off: {item.text}", request.note, seen.now)
    _, newest = _newest(workspace, seen, item)
    if newest is None:
        following = _next(seen, item)
        due = f"it is due {_when(following, seen)}" if following else "at no time that is known"
        raise Refused(f"{item.name} is not due yet", due)
    if _settled(newest):
        raise _already(newest.occurrence, newest.who, newest.state.value, seen)
    one = newest.occurrence
    return _plan(item, "done", f"Tick off: {item.text}", request.note, one.due, _when(one, seen))


def plan_approve(workspace: Workspace, request: Approve) -> Plan:
    """Plan to approve an item as it stands: its text and its command. Raises Refused when it needs no approval."""
    seen = look(workspace)
    item = seen.item(request.item)
    if not item.approval:
        raise Refused(f"{item.name} needs no approval", f"it is started by itself: tabsync schedule show {item.name}")
    title = f"Approve that the schedule runs tabsync {item.key}: {item.approval}"
    return _plan(item, "approve", title, item.approval)


def _already(one: Occurrence, who: str, what: str, seen: Look) -> Refused:
    by = f" by {who}" if who else ""
    return Refused(
        f"{one.item.name}, due {_when(one, seen)}, is {what} already{by}", f"tabsync schedule show {one.item.name}"
    )


def _when(one: Occurrence, seen: Look) -> str:
    return moment(one.due, zone_of(one.item.when, seen.here))


def _plan(item: Item, kind: str, title: str, note: str, due: datetime | None = None, when: str = "") -> Plan:
    undo = "no undo: an approval ends when the item's text or command is changed" if kind == "approve" else ""
    step = Step(
        "record",
        title,
        call(record, kind=kind, item=item.to_json(), note=note, due=iso(due) if due else "", when=when),
        "a line in the ledger, with who said it and when",
        risk=Risk.REVERSIBLE,
        undo=undo or "no undo: it stays on record; to do it all the same: tabsync schedule run",
        repeatable=False,
    )
    return Plan(procedure=f"schedule {kind}", title=title, steps=(step,), target={"item": item.key})


def record(context: Context, *, kind: str, item: Facts, note: str, due: str, when: str = "") -> Facts:
    """Write down what was said of an item, and have the service look again."""
    workspace = context.workspace
    who, note = workspace.journal_actor(), in_one_line(note)
    add_mark(workspace.ledger(), kind, item_from_json(item), who, note, parse_iso(due) if due else None)
    wake(workspace)
    return {"item": item["name"], "who": who, "due": due, "when": when, "note": note}


def show(done: DoneRun[Workspace, Skip | Done | Approve]) -> Page:
    """What was written down."""
    told = done.results["record"]
    page = Page(done.planned.plan.procedure, told)
    verb = {"schedule skip": "Skipped", "schedule done": "Ticked off", "schedule approve": "Approved"}
    due = f", due {told['when']}" if told["when"] else ""
    page.line(f"{verb[done.planned.plan.procedure]}: {told['item']}{due}, by {told['who']}.")
    return page


def _newest(workspace: Workspace, seen: Look, item: Item) -> tuple[Record, Verdict | None]:
    """What is on record of an item, and what its newest occurrence is; None when it was never due."""
    dues = newest_due(seen.versions, item, seen.now, seen.here)
    known = records_of(workspace, seen, seen.now - span_of(item) - timedelta(days=1))[item.key]
    if not dues:
        return known, None
    verdict = judge_all(dues, {item.key: known}, seen.now, seen.names, seen.rpo, seen.here)[-1]
    return known, verdict


def _settled(verdict: Verdict) -> bool:
    return verdict.state in (State.DONE, State.SKIPPED, State.RUNNING) or verdict.caught_up is not None


def _next(seen: Look, item: Item) -> Occurrence | None:
    due = following(seen, item)
    return Occurrence(item, due, due + timedelta(seconds=item.window)) if due else None
