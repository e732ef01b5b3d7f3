"""Who acts: a user who has proved it, or a person who is named and gives a reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tabsync.kernel.errors import BadUsage, NotAllowed, Refused
from tabsync.kernel.step import Facts
from tabsync.postgres.catalog import identity
from tabsync.postgres.connect import Connection
from tabsync.stores.manifest import subject_of
from tabsync.users.wired import LOOKING, User, password_hash, policy, user_by_email, user_by_key

if TYPE_CHECKING:
    from tabsync.workspace import Workspace

PASSWORD, OPERATOR, BREAK_GLASS, HOST = "password", "operator", "break-glass", "host"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts. who: the key of a user, or a person's name; how: how that is known; user: the user, if it is one."""

    who: str
    how: str
    user: User | None = None

    def told(self) -> str:
        """In words."""
        return f"{self.user.email} ({self.user.role})" if self.user else f"{self.who}, {self.how}"

    def to_json(self) -> Facts:
        """As arguments of a step."""
        return {"actor": self.who, "how": self.how}


def actor_of(connection: Connection, workspace: Workspace, by: str, break_glass: str) -> Actor:
    """Who is to act, by what a command line says. Raises BadUsage when it says nobody, or two."""
    if bool(by.strip()) == bool(break_glass.strip()):
        raise BadUsage(
            "who does this has to be said, once: --by or --break-glass",
            "--by with your own e-mail address, whose password is asked; --break-glass NAME only in an emergency",
        )
    if break_glass.strip():
        return Actor(break_glass.strip(), BREAK_GLASS)
    _, wiring = policy(workspace)
    found = user_by_email(connection, wiring, by)
    if found.off:
        raise Refused(f"the account of {found.email} is disabled", "another user may do it")
    return Actor(found.key, PASSWORD, found)


def operator_actor(workspace: Workspace, operator_id: int, name: str) -> Actor:
    """An operator of the console as the user that it was mapped to. Raises Refused when it is none, or is disabled."""
    from tabsync.ledger.operator_users import user_of

    _, wiring = policy(workspace)
    with workspace.connect("users", LOOKING) as connection:
        key = user_of(workspace.ledger(), operator_id, subject_of(identity(connection)))
        found = user_by_key(connection, wiring, key) if key else None
    if found is None:
        raise Refused(
            f"{name} is not known as a user of the application, so nobody would have changed it",
            f"on the host: tabsync operator map {name} --user EMAIL",
        )
    if found.off:
        raise Refused(f"the account of {found.email} is disabled", "another user may do it")
    return Actor(found.key, OPERATOR, found)


def check_password_of(workspace: Workspace, actor: Actor, password: str) -> None:
    """See that a user's password is right; a wrong one goes on record. Raises NotAllowed, Refused."""
    from tabsync.ledger.evidence import add_audit
    from tabsync.users.password import verifies

    if actor.user is None:
        return
    _, wiring = policy(workspace)
    with workspace.connect("users") as connection:
        known = password_hash(connection, wiring, actor.who)
        now = user_by_key(connection, wiring, actor.who)
    if not known:
        raise Refused(f"{actor.user.email} has no password here: it signs in elsewhere", "use --break-glass NAME")
    if now is None or now.off or not verifies(known, password):
        add_audit(workspace.record(), workspace.journal_actor(), "wrong password", actor.user.email, {})
        raise NotAllowed(f"this is not the password of {actor.user.email}", "nothing was changed; try again")
