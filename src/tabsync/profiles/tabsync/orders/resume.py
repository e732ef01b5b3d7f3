"""tabsync orders resume: the pauses that the plan shows end now, and no others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from tabsync.kernel.clock import iso
from tabsync.kernel.errors import Exit, NotAllowed, Refused
from tabsync.kernel.page import Page
from tabsync.kernel.plain import in_one_line
from tabsync.kernel.plan import Plan
from tabsync.kernel.procedure import Done, Planned
from tabsync.kernel.request import Option
from tabsync.kernel.step import Facts, Risk, Step, call
from tabsync.postgres.catalog import check_primary, identity, prove_target
from tabsync.profiles.tabsync.orders import pauses
from tabsync.profiles.tabsync.orders.database import (
    check_pauses,
    counts,
    looking,
    restaurant_named,
    rows,
    session,
    standing,
)
from tabsync.profiles.tabsync.orders.pauses import Pause, Restaurant
from tabsync.profiles.tabsync.orders.shown import show_pauses, told_counts
from tabsync.profiles.tabsync.orders.write import writing

if TYPE_CHECKING:
    from tabsync.workspace import Context, Workspace


@dataclass(frozen=True, slots=True)
class Resuming:
    """What one may ask of orders resume."""

    restaurant: Annotated[
        str | None, Option("Only the pauses of this restaurant: its slug, its id or its name.", metavar="NAME")
    ] = None


def plan_resume(workspace: Workspace, request: Resuming) -> Planned[Workspace]:
    """Plan to end the pauses of all restaurants, or those of one by itself. Raises BadUsage, Refused, NotAllowed."""
    with session(workspace) as connection:
        check_primary(connection)
        target = identity(connection)
        with looking(connection) as found:
            check_pauses(found)
            one = restaurant_named(connection, request.restaurant)
            stands = standing(connection)
    if not found.may_write("order_pauses"):
        raise NotAllowed("this role may not write public.order_pauses", "use its owner")
    ending = pauses.of_scope(stands, one)
    others = [each for each in pauses.reaching(stands, one) if each not in ending]
    if one and others and not ending:
        raise Refused(
            f"{one.told} has no pause of its own; it is paused with {others[0].told()}",
            "to end that for all restaurants: tabsync orders resume",
        )
    notes = [f"it stays paused with {each.told()}" for each in others]
    if not one:
        notes += [f"it stays paused by itself: {each.told()}" for each in stands if each.restaurant_id is not None]
    steps = (_step(target, one, ending),) if ending else ()
    plan = Plan("orders resume", f"Take orders again at {pauses.whom(one)}", steps, target)
    return Planned(plan, tuple(notes))


def resume(context: Context, *, target: Facts, restaurant: Facts | None, ids: list[int]) -> Facts:
    """End pauses that still stand; what became of each. restaurant: whose they are, None for all.

    Raises Refused, NotAllowed, FailedPartway."""
    with session(context.workspace) as connection:
        prove_target(connection, target)
        with looking(connection) as found:
            check_pauses(found)
        with writing(connection, "order_pauses", "no pause was ended") as write:
            ended = write("resume", ids=ids, who=context.workspace.journal_actor())
        with looking(connection):
            became, there, stands = rows(connection, "ended", ids=ids), counts(connection), standing(connection)
    before = [_told_before(one) for one in became] if ended < len(ids) else []
    left = [one.to_json() for one in stands]
    return {"ended": ended, "of": ids, "not_by_us": before, "counts": there, "standing": left}


def show_resume(done: Done[Workspace, Resuming]) -> Page:
    """What takes orders now."""
    facts: Facts = done.results.get("resume", {})
    page = Page("orders resume", facts)
    steps = done.planned.plan.steps
    if not steps:
        page.line(
            ("NOTHING TO END", "strong good"), f": no pause of {done.request.restaurant or 'all restaurants'} stands"
        )
        page.hint("to see what takes orders: tabsync orders status")
        return page
    one = pauses.restaurant_of(steps[0].arguments)
    stands = [pauses.from_json(each) for each in facts["standing"]]
    still = pauses.reaching(stands, one)
    if [each for each in still if each.id in facts["of"]]:
        page.line(("STILL PAUSED", "strong bad"), ": a trigger or a rule of order_pauses kept the pause from ending")
        page.exit_code = Exit.PROBLEM_FOUND
    elif still:
        page.line(("STILL PAUSED", "strong warning"), f": {facts['ended']} pauses ended, others stand")
        page.exit_code = Exit.PROBLEM_FOUND
    else:
        page.line((f"ORDERS COME IN again at {pauses.whom(one)}", "strong good"), f"; {told_counts(facts['counts'])}")
    for told in facts["not_by_us"]:
        page.note(told)
    if stands:
        show_pauses(page, stands)
    return page


def _step(target: Facts, one: Restaurant | None, ending: list[Pause]) -> Step:
    ids = [each.id for each in ending]
    numbers = ", ".join(map(str, ids))
    listed = [f"-- {each.id}: {each.told()}" for each in ending]
    count = "the pause" if len(ending) == 1 else f"{len(ending)} pauses"
    return Step(
        "resume",
        f"End {count} of {pauses.whom(one)}",
        call(resume, target=target, restaurant=one.to_json() if one else None, ids=ids),
        "\n".join(
            [
                "update order_pauses set ended_at = clock_timestamp(), ended_by = ...",
                f"where id in ({numbers})",
                *listed,
            ]
        ),
        Risk.REVERSIBLE,
        pauses.command("pause", one),
        deadline=60.0,
        repeatable=True,
    )


def _told_before(one: Facts) -> str:
    """What became of a pause, where not all were ended by us."""
    if one["ended_at"] is None:
        return f"pause {one['id']} has ended by its time, {iso(one['ends_at'])}"
    return f"pause {one['id']} was ended by {in_one_line(one['ended_by'])}"
