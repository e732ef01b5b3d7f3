"""TRIGGER on the audited tables is revoked from everybody but their owner, and given back when we are removed.

A trigger runs as whoever changes the table: with one of its own, an application's role would act as the owner of the
users at the next change of a role. https://www.postgresql.org/docs/current/ddl-priv.html
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from psycopg import sql
from psycopg.types.json import Jsonb

from tabsync.audit.database.privileges import role_named
from tabsync.audit.database.setup import Setup, parts_of, rows, run, table_facts
from tabsync.kernel.step import Facts
from tabsync.postgres.catalog import Relation, quoted, relation_named
from tabsync.postgres.connect import Connection
from tabsync.postgres.queries import named

_SQL = named(__package__, "trigger_grants.sql")


def guarded(connection: Connection, setup: Setup) -> list[Relation]:
    """The audited tables and the users, each with its partitions."""
    tables = [one.relation for one in setup.tables]
    tables += [relation_named(setup.users.table)] if setup.users else []
    return list(dict.fromkeys(part for one in tables for part in parts_of(connection, one)))


def trigger_grants(connection: Connection, tables: Iterable[Relation]) -> list[Facts]:
    """Who but the owner may create triggers: schema, name, role, grantable."""
    return rows(connection, "grants", of=_SQL, **_named(tables))


def told(connection: Connection, setup: Setup) -> Iterator[str]:
    """What revoking does, in words, for the plan; and what others have put there already."""
    found: dict[str, list[str]] = {}
    for one in trigger_grants(connection, guarded(connection, setup)):
        found.setdefault(who(one), []).append(table(one))
    for role, tables in found.items():
        yield f"{role} may create no triggers any more on {', '.join(tables)}"
    yield from strange(connection, setup)


def strange(connection: Connection, setup: Setup) -> Iterator[str]:
    """Triggers of others on the users: what they call runs as whoever changes a role."""
    if setup.users is None:
        return
    parts = parts_of(connection, relation_named(setup.users.table))
    for one in rows(connection, "strangers", of=_SQL, **_named(parts)):
        yield (
            f"the trigger {quoted(one['trigger'])} on {table(one)} calls a function of {quoted(one['owner'])}: it runs"
            " as whoever changes a user, and could change roles"
        )


def revoke(connection: Connection, tables: Iterable[Relation]) -> None:
    """Revoke it, in the transaction that is open, and keep what there was. It may run again."""
    if not (found := trigger_grants(connection, tables)):
        return
    kept = {(table(one), one["role"]): one for one in [*_kept(connection), *found]}
    connection.execute(_SQL["keep"], {"value": Jsonb(list(kept.values()))})
    for one in found:
        names = {"table": relation_named(table(one)).identifier(), "role": role_named(one["role"])}
        run(connection, "revoke", of=_SQL, **names)


def give_back(connection: Connection) -> list[str]:
    """Give back what was revoked, where the table and the role are still there."""
    given = []
    with connection.transaction():
        for one in _kept(connection):
            there = not one["role"] or rows(connection, "role_exists", of=_SQL, role=one["role"])[0]["there"]
            if not there or table_facts(connection, relation_named(table(one))) is None:
                continue
            option = sql.SQL("with grant option" if one["grantable"] and one["role"] else "")
            names = {"table": relation_named(table(one)).identifier(), "role": role_named(one["role"])}
            run(connection, "grant", of=_SQL, option=option, **names)
            given.append(f"{who(one)} on {table(one)}")
        connection.execute(_SQL["forget"])
    return given


def table(one: Facts) -> str:
    """The table of a privilege."""
    return str(Relation(one["schema"], one["name"]))


def who(one: Facts) -> str:
    """Who has it."""
    return quoted(one["role"]) if one["role"] else "PUBLIC"


def _kept(connection: Connection) -> list[Facts]:
    found = rows(connection, "kept", of=_SQL)
    value: list[Facts] = found[0]["value"] if found else []
    return value


def _named(tables: Iterable[Relation]) -> Facts:
    relations = list(tables)
    return {"schemas": [one.schema for one in relations], "names": [one.name for one in relations]}
