"""tabsync user list and show: who has which role, since when and by whom, and what is odd about it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated

from tabsync.audit.database.log import is_installed
from tabsync.kernel.clock import iso, local
from tabsync.kernel.errors import BadUsage, Exit
from tabsync.kernel.page import Page
from tabsync.kernel.request import Argument, Option
from tabsync.kernel.step import Facts
from tabsync.manual.model import Manual
from tabsync.manual.wiring import UserWiring
from tabsync.postgres.connect import Connection
from tabsync.users.tenants import Membership, memberships, only_admins, runs_alone
from tabsync.users.wired import LOOKING, User, counts, policy, told_of, user_by_email, user_by_key, users

if TYPE_CHECKING:
    from tabsync.workspace import Workspace

_MOST = 200
_PRIVATE = ("email", "name", "E-mail", "Name", "who", "By", "reason", "Reason")
"""What is a person's own: it is shown, and not kept on record."""

_UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class ListUsers:
    """What one may ask of user list."""

    role: Annotated[str, Option("Only those with this role.")] = ""
    limit: Annotated[int, Option("How many at most.", minimum=1, maximum=10_000)] = _MOST


@dataclass(frozen=True, slots=True)
class ShowUser:
    """What one may ask of user show."""

    email: Annotated[str, Argument("The user's e-mail address.")]


def look_list(workspace: Workspace, request: ListUsers) -> Page:
    """The users, by role and address. Raises BadUsage for a role that neither the manual nor the database knows."""
    manual, wiring = policy(workspace)
    with workspace.connect("users", LOOKING) as connection:
        installed = is_installed(connection)
        by_role = counts(connection, wiring)
        if request.role and request.role not in {*manual.hierarchy.names(), *by_role}:
            raise BadUsage(f"there is no role {request.role}", f"the manual has {', '.join(manual.hierarchy.names())}")
        found = users(connection, wiring, role=request.role or None, limit=request.limit)
        belong = memberships(connection, wiring)
        changes = told_of(connection, manual, [one.key for one in found], limit=50 * len(found) or 1)
        staff = _staff(manual, by_role)
        top = _top_in_use(connection, manual, wiring, request.role)
        running = [one for role in staff for one in users(connection, wiring, role=role)]
    only = only_admins(running, belong or (), manual.hierarchy)
    rows = [_facts(one, manual, changes, belong, only.get(one.key, [])) for one in found]
    page = Page("users", {"users": rows, "by_role": by_role}, private=_PRIVATE)
    page.line(", ".join(f"{count:,} {role}" for role, count in by_role.items()) or "There is no user.")
    cells = ((one["email"], str(one["role"]), _since(one), _who(one), "; ".join(one["flags"]) or "-") for one in rows)
    page.table(("E-mail", "Role", "Since", "By", "Remarks"), cells)
    total = by_role.get(request.role, 0) if request.role else sum(by_role.values())
    if total > len(found):
        page.note(f"{len(found):,} of {total:,} are listed; more with --limit, or --role")
    _warn_of_nobody(page, top)
    _remarks(page, manual, by_role, belong, changes, installed=installed)
    return page


def look_show(workspace: Workspace, request: ShowUser) -> Page:
    """One user. Raises BadUsage when there is none with that address, Refused when there are several."""
    return _shown(workspace, lambda connection, wiring: user_by_email(connection, wiring, request.email))


def look_key(workspace: Workspace, key: str) -> Page:
    """The same by the user's key. Raises BadUsage when there is none."""

    def find(connection: Connection, wiring: UserWiring) -> User:
        found = user_by_key(connection, wiring, key)
        if found is None:
            raise BadUsage("there is no such user", "to list them: tabsync user list")
        return found

    return _shown(workspace, find)


def _shown(workspace: Workspace, find: Callable[[Connection, UserWiring], User]) -> Page:
    manual, wiring = policy(workspace)
    with workspace.connect("users", LOOKING) as connection:
        installed = is_installed(connection)
        user = find(connection, wiring)
        belong = memberships(connection, wiring, user.key)
        changes = told_of(connection, manual, [user.key])
        only = runs_alone(connection, manual, user, belong or ())
    facts = _facts(user, manual, changes, belong, only)
    mine = [one for one in belong or () if one.user == user.key]
    told = [asdict(one) for one in mine] if belong is not None else None
    page = Page("user", facts | {"tenants": told, "history": _plain(changes)}, private=_PRIVATE)
    page.line((user.email, "strong"), f"  {user.name}" if user.name else "")
    who = facts["since"]["who"]
    page.line(f"Role: {user.role}, since {_since(facts)}", f" by {who}" if who else "")
    if belong is None:
        page.line("Tenants: unknown; the manual's query failed", style="warning")
    elif mine:
        page.table(("Tenant", "Position"), ((one.tenant, one.position or "-") for one in mine))
    for flag in facts["flags"]:
        page.line(flag, style="warning")
    if user.has_password is False:
        page.line("has no password here: signs in elsewhere", style="quiet")
    if changes:
        page.table(
            ("Time", "Change", "Before", "After", "By", "Reason"),
            map(_row, changes),
            title="In the audit log",
        )
    _remarks(page, manual, {user.role: 1}, belong, changes, installed=installed)
    return page


def _facts(
    user: User, manual: Manual, changes: Sequence[Facts] | None, belong: Sequence[Membership] | None, only: list[str]
) -> Facts:
    # An entry that somebody inserted is that somebody's word, and says nothing of the role.
    mine = [one for one in changes or () if one["key"] == user.key and one["origin"] != "statement"]
    mine = [one for one in mine if one["action"] not in ("DISABLE", "ENABLE")]
    since = {"at": iso(mine[0]["at"]), "who": _by(mine[0]), "how": mine[0]["how"]} if mine else {"at": None, "who": ""}
    # A log that speaks of another role than there is has missed a change.
    if mine and mine[0]["new"] != user.role:
        since = {"at": None, "who": ""}
    flags = [
        *(["disabled"] if user.off else []),
        *(["never verified"] if user.verified is False else []),
        *([f"a role that the manual does not know: {user.role}"] if user.role not in manual.hierarchy.names() else []),
        *([f"the only admin of {'a tenant' if len(only) == 1 else f'{len(only)} tenants'}"] if only else []),
    ]
    told = sorted({one.tenant for one in belong if one.user == user.key}) if belong is not None else None
    return {**user.to_json(), "since": since, "flags": flags, "tenants": told}


def _since(facts: Facts) -> str:
    return local(facts["since"]["at"]) if facts["since"]["at"] else _UNKNOWN


def _who(facts: Facts) -> str:
    return facts["since"]["who"].partition(" (")[0] or "-"


def _by(change: Facts) -> str:
    how = change["how"] or ("inserted by a statement" if change["origin"] == "statement" else "")
    return f"{change['who']} ({how})" if how else str(change["who"] or "-")


def _row(change: Facts) -> tuple[str, ...]:
    before, after = change["old"] or "-", change["new"] or "-"
    return local(iso(change["at"])), change["action"], before, after, _by(change), change["reason"] or "-"


def _plain(changes: Sequence[Facts] | None) -> list[Facts] | None:
    return [one | {"at": iso(one["at"])} for one in changes] if changes is not None else None


def _staff(manual: Manual, by_role: Facts) -> list[str]:
    names = manual.hierarchy.names()
    ranks = [one for one in names if any(manual.hierarchy.above(one, other) for other in names)]
    return [one for one in ranks if one in by_role]


def _top_in_use(connection: Connection, manual: Manual, wiring: UserWiring, asked: str) -> dict[str, int]:
    """How many accounts with each top role are in use. asked: the role that is listed, "" for all."""
    names = manual.hierarchy.names()
    top = [one for one in names if not any(manual.hierarchy.above(other, one) for other in names)]
    wanted = [one for one in top if asked in ("", one)]
    return {one: sum(not user.off for user in users(connection, wiring, role=one)) for one in wanted}


def _warn_of_nobody(page: Page, top: Facts) -> None:
    """Say it where nobody is left who could give roles."""
    for role in (one for one, count in top.items() if not count):
        page.exit_code = Exit.PROBLEM_FOUND
        page.line(f"NOBODY WITH THE ROLE {role} HAS AN ACCOUNT IN USE", style="strong bad")
        page.hint("to give it to somebody: tabsync user promote EMAIL --to ROLE --break-glass NAME --reason ...")


def _remarks(
    page: Page,
    manual: Manual,
    by_role: Facts,
    belong: Sequence[Membership] | None,
    changes: Sequence[Facts] | None,
    *,
    installed: bool,
) -> None:
    """What is not known, and why."""
    wiring = manual.users
    if changes is None:
        why = "this role may not read the audit log" if installed else "the audit log is not installed"
        page.note(f"since when and by whom is unknown: {why}")
        page.hint("use the role that installed it" if installed else "to install it: tabsync audit install")
    if belong is None:
        page.note("who belongs to which tenant is unknown: the manual's query failed, or gave too many rows")
    for name, what in (("disabled", "is disabled"), ("verified", "was verified")):
        if wiring and not getattr(wiring, name):
            page.note(f"whether an account {what} is unknown: the manual names no column for it")
