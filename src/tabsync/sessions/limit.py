"""tabsync connections limit: hold a role back for a while, so that its pool doesn't take all connections again."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import psycopg

from tabsync.kernel.clock import iso, local, now
from tabsync.kernel.errors import BadUsage, Refused, TabsyncError
from tabsync.kernel.page import Page
from tabsync.kernel.plan import Plan
from tabsync.kernel.procedure import Done
from tabsync.kernel.request import INTEGER, Argument, Option
from tabsync.kernel.step import Facts, Risk, Step, call
from tabsync.kernel.units import parse_duration
from tabsync.postgres.catalog import check_primary, identity, prove_target, quoted
from tabsync.postgres.conninfo import server_of
from tabsync.sessions.limits import Limited, begin, in_force, limited_from_json, over, told, typed
from tabsync.sessions.role_limit import role_named, role_of, set_limit
from tabsync.sessions.undo_limit import claim_of, plan_keep, plan_undo
from tabsync.sessions.way_in import session_in

if TYPE_CHECKING:
    from tabsync.workspace import Context, Workspace

LONGEST = timedelta(days=1)
"""How long a limit may be in force: one that is to stay is a decision of its own."""


@dataclass(frozen=True, slots=True)
class Limit:
    """What one may ask of connections limit."""

    role: Annotated[str, Argument("The role that is held back.")]
    count: Annotated[
        int | None, Argument("How many connections it may have; not with --undo or --keep.", maximum=INTEGER)
    ] = None
    lasting: Annotated[str, Option("How long: 15min, 2h; at most 1 day.", ("--for",), metavar="DURATION")] = "15min"
    undo: Annotated[bool, Option("Set it back now to what it was before.")] = False
    keep: Annotated[bool, Option("Leave it as it is now, and take ours off the record.")] = False


def plan_limit(workspace: Workspace, request: Limit) -> Plan:
    """Plan to limit a role, or to undo that. Raises BadUsage, Refused for a superuser, who passes all limits."""
    if (request.count is not None) + request.undo + request.keep != 1:
        raise BadUsage("connections limit takes a number, --undo or --keep", "tabsync connections limit app 5")
    if request.undo:
        return plan_undo(workspace, request.role)
    if request.keep:
        return plan_keep(workspace, request.role)
    count, span = request.count or 0, _span(request.lasting)
    if count < 0:
        raise BadUsage(f"{count} is no number of connections", "0 or more: tabsync connections limit app 5")
    with session_in(workspace, "connections") as connection:
        check_primary(connection)
        target, row = identity(connection), role_named(connection, request.role)
    if row["superuser"]:
        raise Refused(f"{request.role} is a superuser, who passes every limit", "limit the application's own role")
    server, identifier = server_of(workspace.conninfo), target["system_identifier"]
    one = Limited(request.role, row["oid"], server, identifier, count, row["limit"], iso(now() + span))
    earlier = next((other for other in in_force(workspace) if one.is_same(other)), None)
    if earlier:
        ours = tuple(dict.fromkeys((*earlier.ours, earlier.limit)))
        one = replace(one, before=earlier.before, ours=ours)
    before = asdict(earlier) if earlier else None
    made = call(limit, target=target, limited=asdict(one), found=row["limit"], earlier=before)
    had = f"; it has {row['sessions']} now, and those stay" if row["sessions"] > count else ""
    step = Step(
        "limit",
        f"Let {quoted(request.role)} have {count} connections until {local(one.until)}{had}",
        made,
        f"alter role {quoted(request.role)} connection limit {count}",
        Risk.REVERSIBLE,
        typed(request.role, "--undo"),
        deadline=60.0,
        claims=(claim_of(request.role),),
    )
    return Plan("connections limit", f"Limit the connections of {quoted(request.role)}", (step,), target)


def show_limit(done: Done[Workspace, Limit]) -> Page:
    """What came of it."""
    role = quoted(done.request.role)
    facts: Facts = next(iter(done.results.values()), {})
    page = Page("connections limit", {"role": done.request.role, **facts})
    if "until" in facts:
        page.line((f"LIMITED {role} to {facts['limit']} connections", "strong good"), f" until {local(facts['until'])}")
        page.note(f"{facts['sessions']} are open, which stay; it was {told(facts['before'])} before")
        if facts["before"] >= 0:
            page.note("whether another installation of tabsync has set that one for a while can't be known here")
        page.hint(f"to undo it before: {typed(done.request.role, '--undo')}")
    elif facts.get("kept"):
        page.line((f"KEPT: {role} stays as it is", "strong good"), "; no limit of ours is on record any more")
    elif facts.get("left"):
        page.line((f"LEFT {role}", "strong warning"), f": {facts['left']}")
    else:
        page.line((f"UNDONE: {role} has {told(facts['limit'])}", "strong good"))
    return page


def limit(context: Context, *, target: Facts, limited: Facts, found: int, earlier: Facts | None) -> Facts:
    """Set a role's limit. found: what it is by the plan; earlier: one of ours that is in force, which this follows.

    Raises Refused when it is another one by now, NotAllowed, FailedPartway when somebody else changes that role.
    """
    workspace, one = context.workspace, limited_from_json(limited)
    with session_in(workspace, "connections") as connection:
        prove_target(connection, target)
        row = role_of(connection, one.oid)
        if row is None or row["limit"] != found:
            is_now = f"{told(row['limit'])} by now" if row else "gone: there is no such role by now"
            raise Refused(f"the limit of {one.role} is {is_now}; nothing was changed", "plan it again")
        begin(workspace, one, context.run_id)
        try:
            set_limit(connection, row["role"], one.limit)
        except (TabsyncError, psycopg.Error):
            if not connection.closed:  # or it may have been set: the record knows both
                _restore(workspace, one, earlier, context.run_id)
            raise
    return {"limit": one.limit, "before": one.before, "until": one.until, "sessions": row["sessions"]}


def _restore(workspace: Workspace, one: Limited, earlier: Facts | None, run_id: str) -> None:
    """The record as it was: nothing was changed."""
    if earlier:
        begin(workspace, limited_from_json(earlier), run_id)
    else:
        over(workspace, one, "not set", run_id)


def _span(text: str) -> timedelta:
    try:
        span = parse_duration(text)
    except ValueError as error:
        raise BadUsage(f"--for: {error}", "for example: --for 15min") from None
    if not timedelta() < span <= LONGEST:
        raise BadUsage(f"--for {text} is not between 0 and 1 day", "what is to stay: alter role ... connection limit")
    return span
