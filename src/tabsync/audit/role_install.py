"""The users' part of `audit install`, and what removes it."""

from __future__ import annotations

from psycopg import sql

from tabsync.audit import role_grants
from tabsync.audit.locks import patiently
from tabsync.audit.role_change import GUARDS, PUBLIC, Installed, bodies, statements
from tabsync.audit.schema import user_type
from tabsync.audit.setup import Setup, parts_of, rows, table_facts
from tabsync.kernel.errors import BadUsage
from tabsync.kernel.step import Facts
from tabsync.manual.wiring import UserWiring
from tabsync.postgres.catalog import relation_named
from tabsync.postgres.connect import Connection, resolve_as_application, resolve_in_catalog
from tabsync.postgres.queries import named

_SQL = named(__package__, "role_change.sql")


def where_of(connection: Connection, wiring: UserWiring, setup: Setup) -> Installed:
    """Where the users' functions are installed. Raises BadUsage for a table or a column that is not there."""
    users = relation_named(wiring.table)
    facts = table_facts(connection, users)
    if facts is None:
        raise BadUsage(
            f"there is no table {users}, where the manual has its users", f"correct line {wiring.line} of it"
        )
    wired = (wiring.key, wiring.email, wiring.role, wiring.password_hash, wiring.name, wiring.verified, wiring.disabled)
    if lacking := [name for name in wired if name and name not in facts["columns"]]:
        raise BadUsage(
            f"{users} has no column {lacking[0]}, which the manual names", f"correct line {wiring.line} of it"
        )
    entity = next((one.entity for one in setup.tables if one.relation == users), users.name)
    parts = tuple(parts_of(connection, users))
    return Installed(setup.log, user_type(connection, setup), setup.owner, facts["owner"], entity, parts)


def install(connection: Connection, wiring: UserWiring, setup: Setup) -> Facts:
    """Install the functions, the guards, and revoke UPDATE on the role, in one transaction. It may run again.

    Raises FailedPartway when the lock on the users' table never came.
    """
    where = where_of(connection, wiring, setup)

    def work() -> Facts:
        resolve_as_application(connection, local=True)
        for one in statements(wiring, where):
            connection.execute(one)
        resolve_in_catalog(connection, local=True)
        return role_grants.revoke(connection, wiring)

    return patiently(connection, f"guard {relation_named(wiring.table)}", work)


def remove(connection: Connection, wiring: UserWiring) -> Facts:
    """Drop the guards, and give back what was revoked; the functions go with their schema. It may run again."""

    def work() -> Facts:
        for part in parts_of(connection, relation_named(wiring.table)):
            for name in GUARDS:
                dropped = sql.SQL("drop trigger if exists {} on {}").format(sql.Identifier(name), part.identifier())
                connection.execute(dropped)
        return role_grants.give_back(connection, wiring)

    return patiently(connection, f"remove the guards of {relation_named(wiring.table)}", work)


def drift(connection: Connection, wiring: UserWiring, setup: Setup) -> list[str]:
    """What isn't as install() made it: functions replaced or given to others, guards disabled, privileges."""
    where = where_of(connection, wiring, setup)
    found = {one["name"]: one for one in rows(connection, "installed_functions", of=_SQL)}
    told = []
    for name, body in bodies(wiring, where).items():
        if name not in found:
            told.append(f"the function {name} is missing")
        elif found[name]["body"] != body:
            told.append(f"the function {name} was replaced")
        elif found[name]["owner"] != (where.users_owner if name.startswith("users_") else where.owner):
            told.append(f"the function {name} belongs to {found[name]['owner']}")
        elif found[name]["public"] and name not in PUBLIC:
            told.append(f"the function {name} may be called by everybody")
    for part in where.parts:
        table = part.identifier().as_string(None)
        states = {one["name"]: one["state"] for one in rows(connection, "guards", of=_SQL, table=table)}
        off = [name for name in GUARDS if states.get(name) != "on"]
        told += [f"the guard {name} on {part} is {states.get(name, 'missing')}" for name in off]
    return told + role_grants.drift(connection, wiring)
