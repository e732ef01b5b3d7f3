"""What this chapter adds to the status: whether we would get in when all connections are in use, said beforehand."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from tabsync.kernel.clock import now
from tabsync.kernel.errors import TabsyncError
from tabsync.kernel.step import Facts
from tabsync.manual.model import Manual
from tabsync.postgres.catalog import quoted
from tabsync.sessions.emergency import call
from tabsync.sessions.limits import in_force, typed
from tabsync.sessions.way_in import way_in

if TYPE_CHECKING:
    from tabsync.workspace import Workspace


def contribute(workspace: Workspace, _manual: Manual, facts: Facts) -> list[Facts]:
    """Add whether we would get in, and the connection limits that we have set; an alert for one that is overdue."""
    facts["way_in"] = prospects(workspace) if facts["database"]["reachable"] else None
    limits, moment = in_force(workspace), now()
    facts["connection_limits"] = [asdict(one) for one in limits]
    for one in limits:
        if one.is_overdue(moment):
            command = typed(one.role, "--undo")
            alert = {"metric": "Connection limit", "label": one.role, "value": one.told(), "bound": "undone by then"}
            alert |= {"level": "warning", "action": "undo it", "runbook": "", "command": command}
            facts["alerts"].append(alert)
    return []


def prospects(workspace: Workspace) -> Facts | None:
    """How we would get in, and what is missing: {"ways": [...], "told": one line}; None where nobody can be asked."""
    try:
        with way_in(workspace, "status") as way:
            role = way.one("prospects")
    except TabsyncError:
        return None
    return judged(role, _service(workspace), len(workspace.emergency))


def judged(role: Facts, service: Facts | None, emergency: int) -> Facts:
    """How we would get in, and a line that says it.

    role: the row of `prospects`; service: whose session the service keeps, None when it keeps none; emergency: how many
    connection strings [emergency] names.
    """
    user = quoted(str(role["user"]))
    ways, acts = [], bool(role["signals_all"])
    if service is not None:
        ways.append("the session that tabsync serve keeps")
        acts = bool(service["signals_all"])
        user = quoted(str(service["user"]))
    if role["superuser"] and role["superuser_reserved"]:
        ways.append("a superuser's slots")
    elif role["uses_reserved"] and role["reserved"]:
        ways.append("reserved connections")
    if emergency:
        ways.append("[emergency] databases")
    if not ways:
        told = f"nobody would get in: {_missing(role, user)}"
    elif not acts and not emergency:
        told = f"in through {' or '.join(ways)}, but to end no sessions: grant pg_signal_backend to {user}"
    else:
        told = f"in through {' or '.join(ways)}"
    return {"ways": ways, "told": told, "acts": acts or bool(emergency)}


def _missing(role: Facts, user: str) -> str:
    always = "keep tabsync serve running"
    if role["major"] < 16:
        return f"{always}, or name a superuser's connection in [emergency] databases"
    if not role["reserved"]:
        return f"{always}, or set reserved_connections and grant pg_use_reserved_connections to {user}"
    return f"{always}, or grant pg_use_reserved_connections to {user}"


def _service(workspace: Workspace) -> Facts | None:
    try:
        service = call(workspace)
    except OSError:
        return None
    try:
        return service.hello()
    except TabsyncError:
        return None
    finally:
        service.close()
