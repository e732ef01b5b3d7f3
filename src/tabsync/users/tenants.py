"""To which tenants users belong, by the manual's query; and who is the only one to run one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import psycopg
from psycopg import sql

from tabsync.kernel.errors import Refused
from tabsync.manual.model import Hierarchy, Manual
from tabsync.manual.wiring import UserWiring
from tabsync.postgres.connect import Connection
from tabsync.postgres.readonly import run_readonly
from tabsync.users.wired import User, user_by_key

_MOST = 200_000
_ALL = "select q.user_id::text, q.tenant::text, q.position::text from q"
_BESIDE = " where q.tenant in (select m.tenant from q m where m.user_id::text = "


@dataclass(frozen=True, slots=True)
class Membership:
    """That a user belongs to a tenant. position: what the user does there, in the application's words."""

    user: str
    tenant: str
    position: str


def memberships(connection: Connection, wiring: UserWiring, user: str | None = None) -> list[Membership] | None:
    """Who belongs to which tenants, of all users or of all who share one with a user; None when that is unknown.

    Raises Refused when the manual's query does more than read.
    """
    if not wiring.tenants:
        return []
    query = wiring.tenants.strip().rstrip(";")
    text = f"with q as (\n{query}\n) {_ALL}"
    if user is not None:
        text += _BESIDE + sql.Literal(user).as_string(connection) + ")"
    try:
        rows = run_readonly(connection, text, statement_timeout="10s", max_rows=_MOST)
    except Refused:
        raise
    except (psycopg.Error, ValueError):
        return None
    return None if rows.cut else [Membership(*(str(value or "") for value in row)) for row in rows.rows]


def runs_alone(
    connection: Connection, manual: Manual, user: User, belong: Iterable[Membership] | None = None
) -> list[str]:
    """The tenants that nobody but this user runs. belong: who belongs to the user's tenants, where that is known."""
    if manual.users is None or user.role not in manual.hierarchy.names():
        return []
    found = list(memberships(connection, manual.users, user.key) or () if belong is None else belong)
    others = sorted({one.user for one in found})
    beside = [one for key in others if (one := user_by_key(connection, manual.users, key))]
    return only_admins(beside, found, manual.hierarchy).get(user.key, [])


def only_admins(users: Iterable[User], found: Iterable[Membership], hierarchy: Hierarchy) -> dict[str, list[str]]:
    """Those without whom nobody would run a tenant: its only account in use whose role has another one below it.

    Gives the tenants by the user's key.
    """
    names = hierarchy.names()
    ranks = {one for one in names if any(hierarchy.above(one, other) for other in names)}
    admins = {one.key for one in users if one.role in ranks and not one.off}
    by_tenant: dict[str, set[str]] = defaultdict(set)
    for one in found:
        if one.user in admins:
            by_tenant[one.tenant].add(one.user)
    only: dict[str, list[str]] = defaultdict(list)
    for tenant, who in by_tenant.items():
        if len(who) == 1:
            only[next(iter(who))].append(tenant)
    return only
