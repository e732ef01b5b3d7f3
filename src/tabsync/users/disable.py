"""tabsync user disable: an account may not be used any more; it stays, because orders and the log name it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from tabsync.kernel.errors import Refused
from tabsync.kernel.page import Page
from tabsync.kernel.plan import Plan
from tabsync.kernel.procedure import Done, Planned
from tabsync.kernel.request import Argument, Option
from tabsync.kernel.step import Facts, Risk, Step, call
from tabsync.postgres.catalog import check_primary, identity, prove_target
from tabsync.users.actor import Actor, actor_of
from tabsync.users.change import About, called, checked_reason, in_words, notes_on
from tabsync.users.tenants import runs_alone
from tabsync.users.wired import CHANGING, LOOKING, SQL, check_ready, policy, user_by_email

if TYPE_CHECKING:
    from tabsync.workspace import Context, Workspace


@dataclass(frozen=True, slots=True)
class Disable:
    """What one may ask of user disable."""

    email: Annotated[str, Argument("The user's e-mail address.")]
    reason: Annotated[str, Option("Why; it stands in the audit log.")]
    enable: Annotated[bool, Option("Let the account be used again.")] = False
    by: Annotated[str, Option("Who does it: your own e-mail address, whose password is asked.", metavar="EMAIL")] = ""
    break_glass: Annotated[
        str, Option("In an emergency, in nobody's rank: the name of who does it.", metavar="NAME")
    ] = ""
    password_fd: Annotated[
        int | None, Option("Read the password from this file descriptor.", metavar="FD", of="host", minimum=0)
    ] = None


def plan_disable(workspace: Workspace, request: Disable, actor: Actor | None = None) -> Planned[Workspace]:
    """Plan to disable an account, or to enable it again. Raises BadUsage, Refused."""
    manual, wiring = policy(workspace)
    reason = checked_reason(request.reason)
    if not wiring.disabled:
        raise Refused(
            "the manual does not say which column tells that an account is disabled",
            "add a column to the users' table, and Disabled to the section Users",
        )
    with workspace.connect("users", LOOKING) as connection:
        check_primary(connection)
        check_ready(connection, "disables")
        target = identity(connection)
        user = user_by_email(connection, wiring, request.email)
        who = actor or actor_of(connection, workspace, request.by, request.break_glass)
        alone = runs_alone(connection, manual, user)
    off = not request.enable
    if user.off is off:
        raise Refused(f"{user.email} is {'disabled' if off else 'in use'} already", f"tabsync user show {user.email}")
    verb = "Enable" if request.enable else "Disable"
    given = call(disable, target=target, user=user.key, email=user.email, off=off, reason=reason, **who.to_json())
    again = "" if request.enable else " --enable"
    step = Step(
        "disable",
        f"{verb} {user.email}, who is {user.role}, by {who.told()}",
        given,
        called("disable_user_as", user.key, str(off).lower(), who.who, who.how, reason),
        Risk.REVERSIBLE,
        f"tabsync user disable {user.email}{again} --reason ...",
        deadline=60.0,
    )
    plan = Plan("user disable", f"{verb} {user.email}", (step,), target)
    return Planned(plan, notes_on(user, alone) if off else (), about=About(user, who))


def show_disable(done: Done[Workspace, Disable]) -> Page:
    """What came of it."""
    facts: Facts = done.results.get("disable", {})
    page = Page("user disabled", facts)
    page.line((f"{facts['email']} is {'disabled' if facts['disabled'] else 'in use'} now", "strong good"))
    if facts["disabled"]:
        page.note("sessions that are open in the application end when it looks at this column")
    return page


def disable(
    context: Context, *, target: Facts, user: str, email: str, off: bool, actor: str, how: str, reason: str
) -> Facts:
    """Disable or enable the account and write the entry, in one transaction. Raises as change_role."""
    values = {"target": user, "off": off, "actor": actor, "how": how, "reason": reason}
    with context.workspace.connect("users", CHANGING) as connection:
        prove_target(connection, target)
        with in_words("the account was not changed"):
            row = connection.execute(SQL["disable"], values).fetchone()
    done: Facts = row[0] if row else {}
    return {"email": email, **done, "actor": actor, "actor_how": how}
