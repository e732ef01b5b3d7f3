"""tabsync connections limit --undo, --keep: a limit that was set for a while comes to its end.

What somebody else has set meanwhile is never overwritten by itself: it stays on record until a person settles it.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING

import psycopg

from tabsync.kernel.clock import local
from tabsync.kernel.errors import BadUsage, NotRecorded, Refused, TabsyncError, words_of
from tabsync.kernel.plan import Plan
from tabsync.kernel.runner import run
from tabsync.kernel.step import Facts, Risk, Step, call
from tabsync.ledger.runs import unread
from tabsync.postgres.catalog import identity, prove_target, quoted
from tabsync.postgres.conninfo import server_of
from tabsync.postgres.probe import no_answer
from tabsync.sessions.limits import Limited, begin, in_force, limited_from_json, over, to_undo, told, typed
from tabsync.sessions.role_limit import role_of, set_limit
from tabsync.sessions.way_in import session_in

if TYPE_CHECKING:
    from tabsync.workspace import Context, Workspace

_PATIENCE = 1.0  # seconds for a server that doesn't answer, when a command undoes what another one has set


def plan_undo(workspace: Workspace, role: str) -> Plan:
    """Plan to set a limit back. Raises BadUsage when we have set none for that role, by its name of then or of now."""
    with session_in(workspace, "connections") as connection:
        target = identity(connection)
        here = [
            (one, role_of(connection, one.oid))
            for one in in_force(workspace)
            if one.is_at(server_of(workspace.conninfo), target["system_identifier"])
        ]
    for one, row in here:
        if role in (one.role, row and row["role"]):
            return _plan(one, row, target)
    raise _unknown(workspace, role)


def plan_keep(workspace: Workspace, role: str) -> Plan:
    """Plan to take a limit off the record, and leave the role as it is. It needs no server. Raises BadUsage."""
    found = [one for one in in_force(workspace) if one.role == role]
    here = [one for one in found if one.server == server_of(workspace.conninfo)] or found
    if not here:
        raise _unknown(workspace, role)
    if len(here) > 1:
        servers = ", ".join(one.server for one in here)
        raise BadUsage(f"limits of {role} are on record of several servers: {servers}", "name one with --database")
    one = here[0]
    step = Step(
        "keep",
        f"Leave the limit of {quoted(role)} on {one.server} as it is, and take ours of {one.limit} off the record",
        call(keep, limited=asdict(one)),
        "a line in the ledger; nothing is changed in the database",
        Risk.REVERSIBLE,
        f"by hand: alter role {quoted(role)} connection limit {one.before}",
        repeatable=True,
        claims=(claim_of(role),),
    )
    return Plan("connections limit", f"Keep the connection limit of {quoted(role)}", (step,), {})


def undo(context: Context, *, target: Facts, limited: Facts, found: int | None) -> Facts:
    """Set a role's limit back, unless it is neither ours nor the one that was found when this was planned."""
    workspace, one = context.workspace, limited_from_json(limited)
    with session_in(workspace, "connections") as connection:
        prove_target(connection, target)
        row = role_of(connection, one.oid)
        if row is None:
            over(workspace, one, "the role is gone", context.run_id)
            return {"limit": one.before, "left": "there is no such role any more"}
        if not one.is_ours(row["limit"]) and row["limit"] != found:
            begin(workspace, replace(one, found=row["limit"]), context.run_id)
            return {"limit": row["limit"], "left": f"somebody else has changed it to {told(row['limit'])}"}
        if row["limit"] != one.before:
            set_limit(connection, row["role"], one.before)
    over(workspace, one, "undone", context.run_id)
    return {"limit": one.before}


def keep(context: Context, *, limited: Facts) -> Facts:
    """Take a limit off the record."""
    one = limited_from_json(limited)
    over(context.workspace, one, "kept", context.run_id)
    return {"kept": True, "limit": one.found if one.found is not None else one.limit}


def undo_what_is_over(workspace: Workspace) -> list[str]:
    """Undo the limits whose time is over, each as a run of its own; gives what to say of it. Never raises."""
    waiting, server = to_undo(workspace), server_of(workspace.conninfo)
    try:
        if fact := no_answer(workspace.conninfo, _PATIENCE):
            raise Refused(fact)
        with session_in(workspace, "connections") as connection:
            target = identity(connection)
            here = [one for one in waiting if one.is_at(server, target["system_identifier"])]
            rows = [role_of(connection, one.oid) for one in here]
    except (TabsyncError, psycopg.Error) as error:
        return [_not_yet(one, error) for one in waiting if one.server == server]
    return [_undone(workspace, one, row, target) for one, row in zip(here, rows, strict=True)]


def claim_of(role: str) -> str:
    """What a run claims that changes a role's limit."""
    return f"connection limit:{role}"


def _plan(one: Limited, row: Facts | None, target: Facts) -> Plan:
    role = row["role"] if row else one.role
    found = row["limit"] if row else None
    renamed = f", which was {quoted(one.role)}" if role != one.role else ""
    another = "" if found is None or one.is_ours(found) else f"; it is {told(found)} now, and not ours of {one.limit}"
    step = Step(
        "undo",
        f"Set the connection limit of {quoted(role)}{renamed} back to {told(one.before)}{another}",
        call(undo, target=target, limited=asdict(one), found=found),
        f"alter role {quoted(role)} connection limit {one.before}",
        Risk.REVERSIBLE,
        typed(role, str(one.limit)),
        deadline=60.0,
        repeatable=True,
        claims=(claim_of(one.role),),
    )
    return Plan("connections limit", f"Undo the connection limit of {quoted(role)}", (step,), target)


def _undone(workspace: Workspace, one: Limited, row: Facts | None, target: Facts) -> str:
    """Undo one whose time is over, where it still is what we have set; what to say of it."""
    try:
        if row and not one.is_ours(row["limit"]):
            if one.found != row["limit"]:
                begin(workspace, replace(one, found=row["limit"]))
            return replace(one, found=row["limit"]).told()
        outcome = run(_plan(one, row, target), workspace, workspace.journal())
        outcome.raise_if_failed()
    except (TabsyncError, psycopg.Error) as error:
        return _not_yet(one, error)
    left = outcome.results["undo"].get("left")
    role = row["role"] if row else one.role
    return f"the connection limit of {role}: {left or f'set back to {told(one.before)}'}"


def _not_yet(one: Limited, error: Exception) -> str:
    fact = error.fact if isinstance(error, TabsyncError) else words_of(error)
    return f"the connection limit of {one.role}, {one.limit} until {local(one.until)}, is not set back yet: {fact}"


def _unknown(workspace: Workspace, role: str) -> TabsyncError:
    if why := unread(workspace.record()):
        fact = f"whether a connection limit of {quoted(role)} is on record is unknown: {why}"
        return NotRecorded(fact, "see what it is: select rolname, rolconnlimit from pg_roles")
    return BadUsage(
        f"no connection limit of {quoted(role)} is on record here", "to see the limits: tabsync connections show"
    )
