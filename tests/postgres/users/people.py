"""A database of the profile with the log installed, and some people in it."""

from __future__ import annotations

from typing import Any

import psycopg

from tabsync.audit.install import install_for_tests
from tabsync.manual.load import load
from tabsync.manual.model import Manual
from tabsync.postgres.connect import connect
from tabsync.profiles.tabsync import PROFILE_MANUAL
from tabsync.profiles.tabsync.migrate import apply_schema

MANUAL: Manual = load(PROFILE_MANUAL)
WIRING = MANUAL.users
assert WIRING is not None

ROLES = MANUAL.hierarchy.names()

PEOPLE = {
    "super": "SUPER_ADMIN",
    "super2": "SUPER_ADMIN",
    "consultant": "CONSULTANT",
    "owner": "RESTAURANT_OWNER",
    "owner2": "RESTAURANT_OWNER",
    "waiter": "WAITER",
    "waiter2": "WAITER",
    "kitchen": "KITCHEN",
    "customer": "CUSTOMER",
    "admin": "ADMIN",
}
"""By their names; "admin" has a role that the manual doesn't know, and the 2 belong to another restaurant."""

_TENANTS = """
insert into restaurants (owner_id, name, slug)
select id, full_name, full_name from users where role = 'RESTAURANT_OWNER';
insert into staff (restaurant_id, user_id, position)
select r.id, u.id, 'WAITER' from restaurants r join users u
    on r.name = 'owner' and u.full_name in ('waiter', 'kitchen', 'admin')
    or r.name = 'owner2' and u.full_name = 'waiter2'
"""


def prepare(conninfo: str) -> None:
    """The profile's tables in an empty database, the log, and the people."""
    with psycopg.connect(conninfo, autocommit=True) as connection:
        apply_schema(connection)
    install(conninfo)
    settle(conninfo)


def install(conninfo: str) -> None:
    """The log of the profile's manual."""
    assert MANUAL.audit is not None
    with connect(conninfo, "tests") as connection:
        install_for_tests(connection, MANUAL.audit, WIRING, MANUAL.hierarchy)


def settle(conninfo: str) -> None:
    """The people above, and nobody else."""
    with psycopg.connect(conninfo, autocommit=True) as session:
        for name, role in PEOPLE.items():
            session.execute(
                "insert into users (email, full_name, role, email_verified) values (%s, %s, %s, true)",
                (f"{name}@example.com", name, role),
            )
        session.execute(_TENANTS.encode())


def key(session: psycopg.Connection, name: str) -> str:
    """Somebody's key."""
    row = session.execute("select id::text from users where full_name = %s", (name,)).fetchone()
    return str(row[0]) if row else name


def role(session: psycopg.Connection, name: str) -> str:
    """Somebody's role."""
    row = session.execute("select role::text from users where full_name = %s", (name,)).fetchone()
    return str(row[0]) if row else ""


def change(
    session: psycopg.Connection, target: str, to: str, by: str, how: str = "password", reason: str = "so it is"
) -> Any:
    """What the guarded function gives."""
    actor = key(session, by) if how not in ("break-glass", "host") else by
    row = session.execute(
        "select tabsync_audit.change_role_as(%s, null, %s, %s, %s, %s)", (key(session, target), to, actor, how, reason)
    ).fetchone()
    return row[0] if row else None


def entries(session: psycopg.Connection, action: str = "ROLE_CHANGE") -> list[tuple[Any, ...]]:
    """What the log says, oldest first: of whom, old, new, actor, how, why, origin."""
    return session.execute(
        "select entity_id, old_value, new_value, actor, actor_how, reason, origin from audit_logs"
        " where action = %s and origin is not null order by id",
        (action,),
    ).fetchall()
