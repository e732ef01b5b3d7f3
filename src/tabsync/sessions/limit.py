"""tabsync connections limit: hold a role back for a while, so that its pool doesn't take all connections again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from tabsync.kernel.clock import iso, local, now
from tabsync.kernel.errors import BadUsage, NotAllowed, Refused, TabsyncError
from tabsync.kernel.page import Page
from tabsync.kernel.plan import Plan
from tabsync.kernel.procedure import Done
from tabsync.kernel.request import Argument, Option
from tabsync.kernel.runner import run
from tabsync.kernel.step import Facts, Risk, Step, call
from tabsync.kernel.units import parse_duration
from tabsync.postgres.catalog import check_primary, identity, prove_target, quoted
from tabsync.postgres.connect import Connection
from tabsync.postgres.conninfo import place
from tabsync.postgres.probe import no_answer
from tabsync.postgres.queries import named
from tabsync.sessions.limits import Limited, begin, limit_of, over, to_undo
from tabsync.sessions.way_in import session_in

if TYPE_CHECKING:
    from tabsync.workspace import Context, Workspace

_SQL = named(__package__, "limit.sql")
LONGEST = timedelta(days=1)
"""How long a limit may be in force: one that is to stay is a decision of its own."""

_PATIENCE = 1.0  # seconds for a server that doesn't answer, when a command undoes what another one has set
_UNDO = "tabsync connections limit {role} --undo"


@dataclass(frozen=True, slots=True)
class Limit:
    """What one may ask of connections limit."""

    role: Annotated[str, Argument("The role that is held back.")]
    count: Annotated[int | None, Argument("How many connections it may have; not with --undo.")] = None
    lasting: Annotated[str, Option("How long: 15min, 2h; at most 1 day.", ("--for",), metavar="DURATION")] = "15min"
    undo: Annotated[bool, Option("Set it back now to what it was before.")] = False


def plan_limit(workspace: Workspace, request: Limit) -> Plan:
    """Plan to limit a role, or to undo that. Raises BadUsage, Refused for a superuser, who passes all limits."""
    if request.undo == (request.count is not None):
        raise BadUsage("connections limit takes a number of connections, or --undo", "tabsync connections limit app 5")
    if request.undo:
        return plan_undo(workspace, request.role)
    count, span = request.count or 0, _span(request.lasting)
    if count < 0:
        raise BadUsage(f"{count} is no number of connections", "0 or more: tabsync connections limit app 5")
    with session_in(workspace, "connections") as connection:
        check_primary(connection)
        target, row = identity(connection), _limit(connection, request.role)
    if row["superuser"]:
        raise Refused(f"{request.role} is a superuser, who passes every limit", "limit the application's own role")
    earlier = limit_of(workspace, request.role)
    before = earlier.before if earlier else row["limit"]
    until = iso(now() + span)
    made = call(limit, target=target, role=request.role, count=count, found=row["limit"], before=before, until=until)
    had = f"; it has {row['sessions']} now, and those stay" if row["sessions"] > count else ""
    step = Step(
        "limit",
        f"Let {quoted(request.role)} have {count} connections until {local(until)}{had}",
        made,
        f"alter role {quoted(request.role)} connection limit {count}",
        Risk.REVERSIBLE,
        _UNDO.format(role=request.role),
        deadline=60.0,
        claims=(_claim(request.role),),
    )
    return Plan("connections limit", f"Limit the connections of {quoted(request.role)}", (step,), target)


def plan_undo(workspace: Workspace, role: str) -> Plan:
    """Plan to set a limit back. Raises BadUsage when we have set none for that role."""
    one = limit_of(workspace, role)
    if one is None:
        raise BadUsage(
            f"no connection limit of {role} is on record here", "to see the limits: tabsync connections show"
        )
    with session_in(workspace, "connections") as connection:
        target = identity(connection)
    step = Step(
        "undo",
        f"Set the connection limit of {quoted(role)} back to {_told(one.before)}",
        call(undo, target=target, role=role, count=one.limit, before=one.before, until=one.until),
        f"alter role {quoted(role)} connection limit {one.before}",
        Risk.REVERSIBLE,
        f"tabsync connections limit {role} {one.limit}",
        deadline=60.0,
        repeatable=True,
        claims=(_claim(role),),
    )
    return Plan("connections limit", f"Undo the connection limit of {quoted(role)}", (step,), target)


def show_limit(done: Done[Workspace, Limit]) -> Page:
    """What came of it."""
    role, facts = quoted(done.request.role), done.results.get("limit") or done.results.get("undo", {})
    page = Page("connections limit", {"role": done.request.role, **facts})
    if "until" in facts:
        page.line((f"LIMITED {role} to {facts['limit']} connections", "strong good"), f" until {local(facts['until'])}")
        page.note(f"{facts['sessions']} are open, which stay; it was {_told(facts['before'])} before")
        page.hint(f"to undo it before: tabsync connections limit {done.request.role} --undo")
    elif facts.get("left"):
        page.line((f"LEFT {role}", "strong warning"), f": {facts['left']}")
    else:
        page.line((f"UNDONE: {role} has {_told(facts['limit'])}", "strong good"))
    return page


def limit(context: Context, *, target: Facts, role: str, count: int, found: int, before: int, until: str) -> Facts:
    """Set a role's limit. found: what it is by the plan; before: what it is set back to. Raises Refused, NotAllowed."""
    workspace = context.workspace
    with session_in(workspace, "connections") as connection:
        prove_target(connection, target)
        row = _limit(connection, role)
        if row["limit"] != found:
            raise Refused(f"the limit of {role} is {_told(row['limit'])} by now; nothing was changed", "plan it again")
        one = Limited(role, place(workspace.conninfo), count, before, until)
        begin(workspace, one, context.run_id)
        try:
            _set(connection, role, count)
        except TabsyncError:
            if found == before:  # no earlier limit of ours is in force
                over(workspace, one, "not set", context.run_id)
            raise
    return {"limit": count, "before": before, "until": until, "sessions": row["sessions"]}


def undo(context: Context, *, target: Facts, role: str, count: int, before: int, until: str) -> Facts:
    """Set a role's limit back, unless somebody else has changed it since."""
    workspace = context.workspace
    one = Limited(role, place(workspace.conninfo), count, before, until)
    with session_in(workspace, "connections") as connection:
        prove_target(connection, target)
        try:
            row = _limit(connection, role)
        except BadUsage:
            over(workspace, one, "the role is gone", context.run_id)
            return {"limit": before, "left": "there is no such role any more"}
        if row["limit"] not in (count, before):
            over(workspace, one, "somebody else has changed it", context.run_id)
            return {"limit": row["limit"], "left": f"somebody else has changed it to {_told(row['limit'])}"}
        if row["limit"] != before:
            _set(connection, role, before)
    over(workspace, one, "undone", context.run_id)
    return {"limit": before}


def undo_what_is_over(workspace: Workspace) -> list[str]:
    """Undo the limits whose time is over, each as a run of its own; gives what to say of it. Never raises."""
    said = []
    for one in to_undo(workspace):
        try:
            if fact := no_answer(workspace.conninfo, _PATIENCE):
                raise Refused(fact)
            outcome = run(plan_undo(workspace, one.role), workspace, workspace.journal())
            outcome.raise_if_failed()
            facts = outcome.results["undo"]
            said.append(
                f"the connection limit of {one.role}: {facts['left']}"
                if facts.get("left")
                else f"the connection limit of {one.role} was set back to {_told(one.before)}"
            )
        except (TabsyncError, psycopg.Error) as error:
            fact = error.fact if isinstance(error, TabsyncError) else str(error)
            said.append(f"the connection limit of {one.role} is not set back yet: {fact}")
    return said


@contextmanager
def _allowed(role: str) -> Iterator[None]:
    try:
        yield
    except psycopg.errors.InsufficientPrivilege as error:
        hint = (
            f"the role that does it needs CREATEROLE, and on 16 and later: grant {quoted(role)} to it with admin option"
        )
        raise NotAllowed(f"not allowed to limit {role}: {error.diag.message_primary}", hint) from None


def _set(connection: Connection, role: str, count: int) -> None:
    statement = sql.SQL(_SQL["limit_role"]).format(role=sql.Identifier(role), limit=sql.Literal(count))
    with _allowed(role):
        connection.execute(statement)


def _limit(connection: Connection, role: str) -> Facts:
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(_SQL["role_limit"], {"role": role}).fetchone()
    if row is None:
        raise BadUsage(f"there is no role {role}", "to see who is connected: tabsync connections show")
    return row


def _span(text: str) -> timedelta:
    try:
        span = parse_duration(text)
    except ValueError as error:
        raise BadUsage(f"--for: {error}", "for example: --for 15min") from None
    if not timedelta() < span <= LONGEST:
        raise BadUsage(f"--for {text} is not between 0 and 1 day", "what is to stay: alter role ... connection limit")
    return span


def _told(limit: int) -> str:
    return "no limit" if limit < 0 else f"a limit of {limit}"


def _claim(role: str) -> str:
    return f"connection limit:{role}"
