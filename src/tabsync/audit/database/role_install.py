"""The users' part of `audit install`, and what removes it."""

from __future__ import annotations

from collections.abc import Callable

from psycopg import sql

from tabsync.audit.database import role_grants, trigger_grants
from tabsync.audit.database.locks import patiently
from tabsync.audit.database.privileges import role_named
from tabsync.audit.database.role_change import GUARDS, NAMES, PUBLIC, Installed, as_made, bodies, statements
from tabsync.audit.database.schema import user_type
from tabsync.audit.database.setup import Setup, parts_of, rows, table_facts
from tabsync.kernel.errors import BadUsage
from tabsync.kernel.step import Facts
from tabsync.manual.wiring import UserWiring
from tabsync.postgres.catalog import quoted, relation_named
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


def told(connection: Connection, setup: Setup) -> list[str]:
    """What else it does, in words, for the plan. Raises BadUsage for a table or a column that is not there."""
    if setup.users is None:
        return ["the manual does not say where users are: their roles are not guarded"]
    where = where_of(connection, setup.users, setup)
    free = f"{quoted(where.users_owner)}, who owns {relation_named(setup.users.table)}, can still change every role"
    told = role_grants.told(setup.users, role_grants.update_grants(connection, setup.users))
    facts = table_facts(connection, relation_named(setup.users.table)) or {}
    for child in rows(connection, "children", oid=facts["oid"]):
        told.append(f"{child['name']} inherits from it: who may write to it directly changes roles there unguarded")
    return [f"{free}: an application that logs in as the owner is not guarded, only recorded", *told]


def words(setup: Setup) -> dict[str, str]:
    """What the title and the preview of the step name."""
    users = setup.users
    return {
        "users": str(relation_named(users.table)) if users else "",
        "role": quoted(users.role) if users else "",
        "functions": str(len(NAMES) - 1),
    }


def install(connection: Connection, setup: Setup) -> Facts:
    """Install the functions, the guards, and revoke UPDATE on the role, in one transaction. It may run again.

    Raises FailedPartway when the lock on the users' table never came.
    """
    return _installed(connection, setup, role_grants.revoke)


def repair(connection: Connection, setup: Setup) -> Facts:
    """The same again, with what came since: columns that were added."""
    return _installed(connection, setup, role_grants.repair)


def _installed(connection: Connection, setup: Setup, revoke: Callable[[Connection, UserWiring], Facts]) -> Facts:
    wiring = setup.users
    if wiring is None:
        return {}
    where = where_of(connection, wiring, setup)

    def work() -> Facts:
        resolve_as_application(connection, local=True)
        connection.execute(_SQL["temp_last"].encode())
        for one in statements(wiring, where):
            connection.execute(one)
        resolve_in_catalog(connection, local=True)
        ours = {"ours": sorted(NAMES), "public": list(PUBLIC), "owner": where.owner}
        for stranger in rows(connection, "strangers", of=_SQL, **ours):
            given = {"name": sql.Identifier(stranger["name"]), "arguments": sql.SQL(stranger["arguments"])}
            connection.execute(sql.SQL(_SQL["shut"]).format(role=role_named(stranger["role"]), **given))
        trigger_grants.revoke(connection, where.parts)
        return revoke(connection, wiring)

    return patiently(connection, f"guard {relation_named(wiring.table)}", work)


def drift(connection: Connection, setup: Setup) -> list[str]:
    """What isn't as install() made it: functions replaced or given to others, guards disabled, privileges."""
    wiring = setup.users
    if wiring is None:
        return []
    where = where_of(connection, wiring, setup)
    found = {one["name"]: one for one in rows(connection, "installed_functions", of=_SQL)}
    found_wrong = []
    for name, body in bodies(wiring, where).items():
        if name not in found:
            found_wrong.append(f"the function {name} is missing")
        elif found[name]["body"] != body or not as_made(name, found[name]["definer"], found[name]["settings"]):
            found_wrong.append(f"the function {name} was replaced")
        elif found[name]["owner"] != (where.users_owner if name.startswith("users_") else where.owner):
            found_wrong.append(f"the function {name} belongs to {found[name]['owner']}")
        elif found[name]["public"] and name not in PUBLIC:
            found_wrong.append(f"the function {name} may be called by everybody")
    for part in where.parts:
        table = part.identifier().as_string(None)
        states = {one["name"]: one["state"] for one in rows(connection, "guards", of=_SQL, table=table)}
        off = [name for name in GUARDS if states.get(name) != "on"]
        found_wrong += [f"the guard {name} on {part} is {states.get(name, 'missing')}" for name in off]
    found_wrong += [
        f"{trigger_grants.who(one)} may create triggers on {trigger_grants.table(one)}"
        for one in trigger_grants.trigger_grants(connection, where.parts)
    ]
    return found_wrong + role_grants.drift(connection, wiring)
