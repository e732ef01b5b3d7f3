"""/users: the application's users, what became of each; and an admin who is one of them gives roles."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Depends, Form, Request
from starlette.responses import RedirectResponse, Response

from tabsync.console.base.access import AdminPost, Viewer
from tabsync.console.base.render import page
from tabsync.console.base.state import Console, console_of
from tabsync.kernel.errors import BadUsage, Refused, TabsyncError
from tabsync.kernel.procedure import Planned, planned
from tabsync.ledger.operators import Session, may
from tabsync.procedures import find
from tabsync.users.actor import Actor, operator_actor
from tabsync.users.change import Demote, Promote, plan_change
from tabsync.users.disable import Disable, plan_disable
from tabsync.users.show import ListUsers, look_key, look_list
from tabsync.users.wired import LOOKING, User, policy, user_by_key
from tabsync.workspace import Workspace

router = APIRouter()

_Found = Annotated[Console, Depends(console_of)]


@router.get("/users")
def show(request: Request, _: Viewer, console: _Found, role: str = "") -> Response:
    """All users, or those with a role."""
    manual, _wiring = policy(console.workspace)
    found = look_list(console.workspace, ListUsers(role=role))
    return page(request, "users.html", found=found, roles=manual.hierarchy.names(), role=role)


@router.get("/users/{key:path}")
def one(key: str, request: Request, session: Viewer, console: _Found) -> Response:
    """One user with the history and, for an admin, what may be done."""
    manual, wiring = policy(console.workspace)
    found = look_key(console.workspace, key)
    actor, why = _actor(console, session)
    context: dict[str, Any] = {
        "found": found,
        "roles": [one for one in manual.hierarchy.names() if one != found.data["role"]],
        "actor": actor,
        "why": why,
        "disables": bool(wiring.disabled),
        "path": f"/users/{quote(key)}",
    }
    return page(request, "user.html", **context)


@router.post("/users/{key:path}/role")
def change(
    key: str,
    session: AdminPost,
    console: _Found,
    to: Annotated[str, Form()] = "",
    reason: Annotated[str, Form()] = "",
) -> Response:
    """Plan another role, in the name of the user that the operator is; the plan asks for the password again."""
    workspace = console.workspace
    manual, _ = policy(workspace)
    actor = operator_actor(workspace, session.operator.id, session.operator.name)
    user, by = _user(workspace, key), actor.user.email if actor.user else ""
    asked = Demote if manual.hierarchy.above(user.role, to) else Promote
    wanted = asked(user.email, to, reason, by)
    return _show(console, session, wanted, plan_change(workspace, wanted, actor))


@router.post("/users/{key:path}/disabled")
def disable(
    key: str,
    session: AdminPost,
    console: _Found,
    reason: Annotated[str, Form()] = "",
    enable: Annotated[str, Form()] = "",
) -> Response:
    """Plan to disable the account, or to enable it again."""
    workspace = console.workspace
    actor = operator_actor(workspace, session.operator.id, session.operator.name)
    by = actor.user.email if actor.user else ""
    wanted = Disable(_user(workspace, key).email, reason, enable == "yes", by)
    return _show(console, session, wanted, plan_disable(workspace, wanted, actor))


def _show(console: Console, session: Session, request: Promote | Disable, made: Planned[Workspace]) -> Response:
    procedure = find(made.plan.procedure)
    if procedure is None:
        raise BadUsage(f"this version has no {made.plan.procedure!r}")
    whole = planned(procedure, request, made)
    digest = console.worker.show(procedure, request, whole, session.operator.name)
    return RedirectResponse(f"/plans/{digest}", 303)


def _user(workspace: Workspace, key: str) -> User:
    _, wiring = policy(workspace)
    with workspace.connect("users", LOOKING) as connection:
        found = user_by_key(connection, wiring, key)
    if found is None:
        raise BadUsage("there is no such user", "to list them: tabsync user list")
    return found


def _actor(console: Console, session: Session) -> tuple[Actor | None, str]:
    """As whom the operator may act; or why as nobody."""
    if not may(session.operator, "admin"):
        return None, ""
    try:
        return operator_actor(console.workspace, session.operator.id, session.operator.name), ""
    except Refused as error:
        return None, f"{error.fact}: {error.hint}"
    except TabsyncError as error:
        return None, error.fact
