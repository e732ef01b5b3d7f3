"""tabsync orders pause: no new order gets in for a while; what the owners of restaurants have set stays as it is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated

from tabsync.kernel.clock import iso
from tabsync.kernel.errors import Exit, FailedPartway, NotAllowed, TabsyncError
from tabsync.kernel.page import Page, Style
from tabsync.kernel.plan import Plan
from tabsync.kernel.procedure import Done, Planned
from tabsync.kernel.request import Option
from tabsync.kernel.step import Facts, Risk, Step, call
from tabsync.kernel.units import human_seconds
from tabsync.ledger.runs import one_run, runs_under
from tabsync.postgres.catalog import check_primary, identity, prove_target
from tabsync.profiles.tabsync.orders import pauses
from tabsync.profiles.tabsync.orders.database import (
    Found,
    check_pauses,
    counts,
    looking,
    recent,
    restaurant_named,
    rows,
    session,
    standing,
)
from tabsync.profiles.tabsync.orders.drain import drain
from tabsync.profiles.tabsync.orders.pauses import Pause, Restaurant
from tabsync.profiles.tabsync.orders.shown import show_left, told_counts, told_recent
from tabsync.profiles.tabsync.orders.write import writing

if TYPE_CHECKING:
    from tabsync.workspace import Context, Workspace

_NOT_PAUSED = "orders were not paused"


@dataclass(frozen=True, slots=True)
class Pausing:
    """What one may ask of orders pause."""

    restaurant: Annotated[str | None, Option("Only this restaurant: its slug, its id or its name.", metavar="NAME")] = (
        None
    )
    lasting: Annotated[str, Option("How long: 30min, 2h; from 5 min to 7 days.", ("--for",), metavar="DURATION")] = "2h"
    reason: Annotated[str, Option("Why; it stands in the pause, and orders status shows it.")] = ""
    wait: Annotated[str, Option("How long to wait for orders that are under way.", metavar="DURATION")] = "20s"


def plan_pause(workspace: Workspace, request: Pausing) -> Planned[Workspace]:
    """Plan to pause all restaurants, or one. Raises BadUsage, Refused, NotAllowed."""
    span, wait = pauses.checked_span(request.lasting), pauses.checked_wait(request.wait)
    reason = pauses.checked_reason(request.reason)
    with session(workspace) as connection:
        check_primary(connection)
        target = identity(connection)
        with looking(connection) as found:
            check_pauses(found)
            _check_may_write(found)
            one = restaurant_named(connection, request.restaurant)
            stands, there, lately = standing(connection), counts(connection), recent(connection, 10)
            now: datetime = rows(connection, "clock")[0]["now"]
    same = pauses.alike(pauses.of_scope(stands, one), span, reason)
    ours = _left_by_this_run(workspace, same) or pauses.to_wait_for(same, workspace.journal_actor(), now)
    steps = [] if ours else [_pause_step(target, one, span, reason, workspace.journal_actor())]
    drained = call(drain, target=target, restaurant=one.to_json() if one else None, wait=wait.total_seconds())
    steps.append(
        Step(
            "drain",
            f"Wait for the orders that are under way, at most {human_seconds(wait.total_seconds())}",
            drained,
            "update order_gate set closed_at = clock_timestamp()\n-- then see who is still writing orders, in pg_locks",
            Risk.REVERSIBLE,
            "no undo needed: it only makes older snapshots fail, which may be tried again",
            deadline=wait.total_seconds() + 60.0,
            repeatable=True,
        )
    )
    title = f"Pause the orders of {pauses.whom(one)} for {human_seconds(span.total_seconds())}"
    told = tuple(_notes(pauses.reaching(stands, one), there, lately, ours))
    unsure = (f"WHETHER A PAUSE KEEPS ORDERS OUT IS UNKNOWN: {found.unsure}",) if found.unsure else ()
    return Planned(Plan("orders pause", title, tuple(steps), target), (*unsure, *told))


def pause(context: Context, *, target: Facts, restaurant: Facts | None, seconds: float, reason: str) -> Facts:
    """Write the pause, once for this run: from its commit on, every order that begins is refused.

    restaurant: None for all. Raises Refused, NotAllowed, FailedPartway.
    """
    one = restaurant["id"] if restaurant else None
    who = context.workspace.journal_actor()  # of the run: a plan may be made in the console's name
    values = {"restaurant": one, "seconds": seconds, "reason": reason, "who": who, "run": context.run_id}
    with session(context.workspace) as connection:
        prove_target(connection, target)
        with looking(connection) as found:
            check_pauses(found)
        with writing(connection, "order_pauses", _NOT_PAUSED) as write:
            write("pause", **values)
        with looking(connection):
            written = rows(connection, "written", run=context.run_id)
    if not written:
        raise FailedPartway(f"{_NOT_PAUSED}: a trigger or a rule of order_pauses kept the row out", "\\d order_pauses")
    row = written[0]
    return {"id": row["id"], "paused_at": iso(row["paused_at"]), "ends_at": iso(row["ends_at"])}


def show_pause(done: Done[Workspace, Pausing]) -> Page:
    """What came of it: until when, and whether an order of before may still come in."""
    facts: Facts = done.results.get("drain", {})
    one = pauses.restaurant_of(done.planned.plan.steps[-1].arguments)
    if not facts:
        return _stopped(done, one)
    page = Page("orders pause", {"pause": done.results.get("pause"), **facts})
    here = pauses.reaching([pauses.from_json(each) for each in facts["standing"]], one)
    if not here:
        page.line(("NOT PAUSED", "strong bad"), ": somebody has ended the pause, or its time is over")
        page.exit_code = Exit.PROBLEM_FOUND
        return page
    style: Style = "strong good" if facts["drained"] and not facts["unsure"] else "strong warning"
    page.line((f"PAUSED {pauses.whom(one)}", style), f" until {here[0].until}")
    if len(here) > 1:
        page.note(f"{len(here)} pauses stand: orders come in again when the last one has ended")
    show_left(page, facts)
    page.hint(f"to end it before: {pauses.command('resume', one)}")
    return page


def _stopped(done: Done[Workspace, Pausing], one: Restaurant | None) -> Page:
    """Of a run that failed: whether orders are paused all the same."""
    error, there = done.ran.error, done.results.get("pause")
    page = Page("orders pause")
    if there or len(done.planned.plan.steps) == 1:  # a pause that stood already was only to be waited for
        page.data = {"pause": there, "error": str(error)}
        page.line((f"PAUSED {pauses.whom(one)}", "strong warning"), "; whether an order is still under way is unknown")
    page.error = error if isinstance(error, TabsyncError) else None
    return page


def _pause_step(target: Facts, one: Restaurant | None, span: timedelta, reason: str, who: str) -> Step:
    seconds = span.total_seconds()
    made = call(pause, target=target, restaurant=one.to_json() if one else None, seconds=seconds, reason=reason)
    return Step(
        "pause",
        f"Let no new order in at {pauses.whom(one)} for {human_seconds(seconds)}",
        made,
        pauses.by_hand(one, span, reason, who),
        Risk.REVERSIBLE,
        pauses.command("resume", one),
        deadline=60.0,
        repeatable=True,
    )


def _check_may_write(found: Found) -> None:
    for name in ("order_pauses", "order_gate"):
        if not found.may_write(name):
            raise NotAllowed(
                f"this role may not write public.{name}", f"as its owner: grant select, insert, update on {name} to ..."
            )


def _left_by_this_run(workspace: Workspace, same: list[Pause]) -> Pause | None:
    """The pause that this step of a runbook has written before its process died: it isn't written twice."""
    if not workspace.parent_run:
        return None
    try:
        ledger = workspace.ledger()
        under = {one["id"] for one in runs_under(ledger, workspace.parent_run)}
        for one in same:
            run = one_run(ledger, one.run_id) if one.run_id in under and one.run_id else None
            if run and run["state"] != "done":
                return one
    except TabsyncError:
        return None  # without the ledger it is written again: both end
    return None


def _notes(stands: list[Pause], there: Facts, lately: int | None, ours: Pause | None) -> list[str]:
    told = [f"now {told_counts(there)}; {told_recent(lately, 10)}"]
    if ours:
        told.append(f"it isn't written again, only waited for: you have just paused {ours.told()}")
    told += [f"PAUSED ALREADY: {one.told()}" for one in stands if one != ours]
    if len(stands) > (ours is not None):
        told.append("orders stay out until the last of the pauses has ended")
    return told
