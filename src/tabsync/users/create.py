"""tabsync user create-super-admin: the first account with the top role, or one more, from this machine alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import psycopg

from tabsync.kernel.errors import BadUsage, FailedPartway, Refused
from tabsync.kernel.page import Page
from tabsync.kernel.plan import Plan
from tabsync.kernel.procedure import Done
from tabsync.kernel.request import Argument, Option
from tabsync.kernel.step import Facts, Risk, Step, call
from tabsync.manual.model import Hierarchy
from tabsync.postgres.catalog import check_primary, identity, prove_target
from tabsync.users.change import called, checked_reason, in_words
from tabsync.users.wired import CHANGING, LOOKING, SQL, any_case, check_ready, plain_address, policy, users_at

if TYPE_CHECKING:
    from tabsync.workspace import Context, Workspace

HASH = "the hash of the new user's password"
"""Under what the step finds it in the workspace: a plan is recorded, so it holds none."""

_LONGEST_NAME = 200


@dataclass(frozen=True, slots=True)
class Create:
    """What one may ask of user create-super-admin."""

    email: Annotated[str, Argument("The new user's e-mail address; it counts as verified.")]
    full_name: Annotated[str, Option("The new user's name.", metavar="NAME")]
    reason: Annotated[str, Option("Why; it stands in the audit log.")] = "created on the host"
    password_fd: Annotated[
        int | None, Option("Read the password from this file descriptor.", metavar="FD", of="host", minimum=0)
    ] = None


def plan_create(workspace: Workspace, request: Create) -> Plan:
    """Plan to create it; it only reads. Raises BadUsage, Refused where there is such a user already."""
    manual, wiring = policy(workspace)
    if not wiring.password_hash:
        raise Refused("the manual does not say where the hashes of passwords are", "add Password hash to its Users")
    role, reason, name = top_role(manual.hierarchy), checked_reason(request.reason), _name(request.full_name)
    with workspace.connect("users", LOOKING) as connection:
        check_primary(connection)
        check_ready(connection)
        target = identity(connection)
        email = plain_address(request.email)
        email = email.lower() if any_case(connection, wiring) else email
        there = users_at(connection, wiring, email)
    if there:
        known = there[0]
        raise Refused(f"there is a user {known.email} already, who is {known.role}", f"tabsync user show {known.email}")
    given = call(create, target=target, email=email, name=name, to=role, actor=workspace.journal_actor(), reason=reason)
    step = Step(
        "create",
        f"Create {email} as {role}",
        given,
        called("create_admin_as", email, name, "(the hash)", role, workspace.journal_actor(), "host", reason),
        Risk.REVERSIBLE,
        f"tabsync user disable {email} --reason ...",
        deadline=60.0,
    )
    return Plan("user create-super-admin", f"Create the user {email} with the role {role}", (step,), target)


def show_create(done: Done[Workspace, Create]) -> Page:
    """What came of it."""
    facts: Facts = done.results.get("create", {})
    page = Page("user created", facts)
    page.line((f"CREATED {facts['email']}", "strong good"), f", who is {facts['new']}")
    page.hint("sign in once with it, and keep the password where the other emergency secrets are")
    return page


def create(context: Context, *, target: Facts, email: str, name: str, to: str, actor: str, reason: str) -> Facts:
    """Insert the user and write the entry, in one transaction. Raises Refused, NotAllowed, FailedPartway."""
    workspace = context.workspace
    if HASH not in workspace.secrets:
        raise Refused("the password was not given: it is in no plan", "tabsync user create-super-admin")
    values = {"email": email, "name": name, "hash": workspace.secrets[HASH], "to": to}
    with workspace.connect("users", CHANGING) as connection:
        prove_target(connection, target)
        connection.execute(SQL["quiet"])
        with in_words("the user was not created"):
            try:
                row = connection.execute(SQL["create_admin"], values | {"actor": actor, "reason": reason}).fetchone()
            except psycopg.errors.IntegrityError as error:  # its details may hold the whole row, and so the hash
                told = error.diag.message_primary or "the server refused the row"
                raise FailedPartway(f"the user was not created: {told}", "nothing was changed") from None
    done: Facts = row[0] if row else {}
    return {"email": email, **done}


def top_role(hierarchy: Hierarchy) -> str:
    """The role that nobody is above. Raises Refused where there are several, or none."""
    names = hierarchy.names()
    tops = [one for one in names if not any(hierarchy.above(other, one) for other in names)]
    if len(tops) != 1:
        fact = f"the manual has {len(tops)} roles with none above: {', '.join(tops)}"
        raise Refused(fact, "tabsync manual show roles")
    return tops[0]


def _name(name: str) -> str:
    given = " ".join(name.split())
    if not given or len(given) > _LONGEST_NAME or not given.isprintable():
        raise BadUsage(f"the name is not one line of 1 to {_LONGEST_NAME} characters", '--full-name "Ana Souza"')
    return given
