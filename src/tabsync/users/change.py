"""tabsync user promote, demote: another role for a user, by one guarded function that also writes the audit log."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import psycopg

from tabsync.kernel.errors import BadUsage, FailedPartway, NotAllowed, Refused, words_of
from tabsync.kernel.page import Page
from tabsync.kernel.plan import Plan
from tabsync.kernel.procedure import Done, Planned
from tabsync.kernel.request import Argument, Option
from tabsync.kernel.step import Facts, Risk, Step, call
from tabsync.manual.model import Hierarchy
from tabsync.postgres.catalog import check_primary, identity, prove_target, quoted
from tabsync.users.actor import Actor, actor_of
from tabsync.users.tenants import runs_alone
from tabsync.users.wired import CHANGING, LOOKING, SQL, User, check_ready, policy, user_by_email

if TYPE_CHECKING:
    from tabsync.workspace import Context, Workspace

LONGEST_REASON = 1_000
_REFUSED = "TS001"
"""The SQLSTATE of what the guarded functions refuse."""


@dataclass(frozen=True, slots=True)
class Promote:
    """What one may ask of user promote."""

    email: Annotated[str, Argument("The user's e-mail address.")]
    to: Annotated[str, Option("The new role.", metavar="ROLE")]
    reason: Annotated[str, Option("Why; it stands in the audit log.")]
    by: Annotated[str, Option("Who does it: your own e-mail address, whose password is asked.", metavar="EMAIL")] = ""
    break_glass: Annotated[
        str, Option("In an emergency, in nobody's rank: the name of who does it.", metavar="NAME")
    ] = ""
    password_fd: Annotated[
        int | None, Option("Read the password from this file descriptor.", metavar="FD", of="host", minimum=0)
    ] = None


@dataclass(frozen=True, slots=True)
class Demote(Promote):
    """What one may ask of user demote."""


@dataclass(frozen=True, slots=True)
class About:
    """What goes with the plan. user: as it is now; actor: who is to do it."""

    user: User
    actor: Actor


def plan_change(workspace: Workspace, request: Promote, actor: Actor | None = None) -> Planned[Workspace]:
    """Plan to give a user another role; it only reads. actor: who does it, where that is known already.

    Raises BadUsage, Refused for what the manual does not allow.
    """
    verb = "demote" if isinstance(request, Demote) else "promote"
    manual, wiring = policy(workspace)
    reason = checked_reason(request.reason)
    with workspace.connect("users", LOOKING) as connection:
        check_primary(connection)
        check_ready(connection)
        target = identity(connection)
        user = user_by_email(connection, wiring, request.email)
        who = actor or actor_of(connection, workspace, request.by, request.break_glass)
        alone = runs_alone(connection, manual, user)
    _check(manual.hierarchy, verb, user, request.to, who)
    given = call(
        change_role,
        target=target,
        user=user.key,
        email=user.email,
        found=user.role,
        to=request.to,
        reason=reason,
        **who.to_json(),
    )
    preview = called("change_role_as", user.key, user.role, request.to, who.who, who.how, reason)
    back = "promote" if verb == "demote" else "demote"
    step = Step(
        "change",
        f"Give {user.email} the role {request.to} instead of {user.role}, by {who.told()}",
        given,
        preview,
        Risk.REVERSIBLE,
        f"tabsync user {back} {user.email} --to {quoted(user.role)} --reason ...",
        deadline=60.0,
    )
    plan = Plan(f"user {verb}", f"{verb.capitalize()} {user.email} from {user.role} to {request.to}", (step,), target)
    loses = [] if manual.hierarchy.above(request.to, user.role) else alone
    return Planned(plan, notes_on(user, loses), about=About(user, who))


def show_change(done: Done[Workspace, Promote]) -> Page:
    """What came of it."""
    facts: Facts = done.results.get("change", {})
    page = Page("user role", facts)
    page.line((f"{facts['email']} is {facts['new']} now", "strong good"), f"; it was {facts['old']} before")
    page.hint(f"to see it in the audit log: tabsync user show {facts['email']}")
    return page


def change_role(
    context: Context, *, target: Facts, user: str, email: str, found: str, to: str, actor: str, how: str, reason: str
) -> Facts:
    """Change the role and write the entry, in one transaction. Raises Refused, NotAllowed, FailedPartway."""
    values = {"target": user, "found": found, "to": to, "actor": actor, "how": how, "reason": reason}
    with context.workspace.connect("users", CHANGING) as connection:
        prove_target(connection, target)
        with in_words("the role was not changed"):
            row = connection.execute(SQL["change_role"], values).fetchone()
    done: Facts = row[0] if row else {}
    return {"email": email, **done, "actor": actor, "actor_how": how}


def checked_reason(reason: str) -> str:
    """A reason that somebody can read later. Raises BadUsage."""
    given = " ".join(reason.split())
    if not given:
        raise BadUsage("the reason is empty; it stands in the audit log", '--reason "took over the restaurant"')
    if len(given) > LONGEST_REASON or not given.isprintable():
        raise BadUsage(f"the reason is not one line of at most {LONGEST_REASON} characters", "write a shorter one")
    return given


def notes_on(user: User, alone: Sequence[str]) -> tuple[str, ...]:
    """What is worth a word before a user is changed. alone: the tenants that nobody would run any more."""
    off = [f"{user.email} is disabled"] if user.off else []
    return (*off, *(f"{user.email} is the only admin of {one}: nobody would run it" for one in alone[:5]))


def called(function: str, *values: str) -> str:
    """The call of a guarded function, as a plan shows it."""
    texts = ", ".join("'" + one.replace("'", "''") + "'" for one in values)
    return f"select tabsync_audit.{function}({texts})"


@contextmanager
def in_words(what: str) -> Iterator[None]:
    """Turn what the database says against it into an error. what: what was not done."""
    try:
        yield
    except psycopg.errors.LockNotAvailable:
        raise FailedPartway(
            f"{what}: another session has changed one of these users and is still open", "to see it: tabsync locks show"
        ) from None
    except psycopg.errors.InsufficientPrivilege as error:
        raise NotAllowed(
            f"{what}: {words_of(error)}", "to see what is not as installed: tabsync audit status"
        ) from None
    except psycopg.errors.SerializationFailure as error:
        raise FailedPartway(f"{what}: {words_of(error)}", "plan it again") from None
    except psycopg.OperationalError:
        raise  # whether it was done is not known: the connection was lost
    except psycopg.Error as error:
        if error.sqlstate == _REFUSED:
            raise Refused(error.diag.message_primary or what, error.diag.message_hint or "") from None
        hint = "nothing was changed: the role and its entry are written together, or not at all"
        raise FailedPartway(f"{what}: {words_of(error)}", hint) from None


def _check(hierarchy: Hierarchy, verb: str, user: User, to: str, actor: Actor) -> None:
    """What the manual is against, as far as it can be known before. The function in the database has the last word."""
    if to not in hierarchy.names():
        raise BadUsage(f"the manual has no role {to}", f"its roles: {', '.join(hierarchy.names())}")
    if user.role == to:
        raise Refused(f"{user.email} is {to} already", f"tabsync user show {user.email}")
    if hierarchy.above(user.role, to) and verb == "promote":
        raise Refused(f"{to} is below {user.role}: that is no promotion", "tabsync user demote")
    if hierarchy.above(to, user.role) and verb == "demote":
        raise Refused(f"{to} is above {user.role}: that is no demotion", "tabsync user promote")
    if actor.user is None:
        return
    rank = actor.user.role
    if actor.user.key == user.key:
        raise Refused("nobody may change their own role", "another user, above the old and the new role, may")
    top = rank in hierarchy.names() and not any(hierarchy.above(one, rank) for one in hierarchy.names())
    for role in (user.role, to):
        if not hierarchy.above(rank, role) and not (top and role == rank):
            raise Refused(
                f"{actor.user.email} is {rank}, which is not above {role}",
                "to see the order: tabsync manual show roles",
            )
