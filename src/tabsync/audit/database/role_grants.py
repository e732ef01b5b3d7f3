"""UPDATE on the role of a user is revoked from everybody but the table's owner, and given back when we are removed.

A privilege on a whole table can't leave a column out, so it becomes one on each of the other columns. What was there
before is kept beside the log. https://www.postgresql.org/docs/current/ddl-priv.html
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from psycopg import sql
from psycopg.types.json import Jsonb

from tabsync.audit.database.privileges import role_named
from tabsync.audit.database.setup import parts_of, rows, run, table_facts
from tabsync.kernel.step import Facts
from tabsync.manual.wiring import UserWiring
from tabsync.postgres.catalog import Relation, quoted, relation_named
from tabsync.postgres.connect import Connection
from tabsync.postgres.queries import named

_SQL = named(__package__, "role_grants.sql")
_OPTION = sql.SQL("with grant option")


def update_grants(connection: Connection, wiring: UserWiring) -> list[Facts]:
    """Who but the owner may update which columns of the users: schema, name, role, column ("": all), grantable."""
    return _grants_on(connection, _parts(connection, wiring))


def told(wiring: UserWiring, grants: Sequence[Facts]) -> list[str]:
    """What revoking does, in words, for the plan: a line for each who loses something."""
    return [
        f"{_who(role)} may update all columns of {table} but {quoted(wiring.role)}"
        + ("; a column that is added later has to be granted" if whole else "")
        for table, role, whole in _losing(wiring, grants)
    ]


def revoke(connection: Connection, wiring: UserWiring) -> Facts:
    """Revoke it, in the transaction that is open, and keep what there was. It may run again."""
    found = update_grants(connection, wiring)
    losing = {(table, role) for table, role, _ in _losing(wiring, found)}
    if losing:
        before = _kept(connection)
        new = [one for one in found if (_table(one), one["role"]) in losing]
        known = {(_table(one), one["role"]) for one in new}
        kept = [one for one in before if (_table(one), one["role"]) not in known]
        connection.execute(_SQL["keep"], {"value": Jsonb([*kept, *new])})
    for table, role in sorted(losing):
        mine = [one for one in found if (_table(one), one["role"]) == (table, role)]
        run(connection, "revoke", of=_SQL, table=relation_named(table).identifier(), role=role_named(role))
        _grant(connection, table, role, mine, without=wiring.role)
    return {"revoked": [f"{_who(role)} on {table}" for table, role in sorted(losing)]}


def give_back(connection: Connection) -> Facts:
    """Give back what was revoked, but to nobody who has nothing of it left: somebody has revoked that on purpose."""
    kept = _kept(connection)
    tables = {relation_named(_table(one)) for one in kept}
    now = _grants_on(connection, tables)
    still = {(_table(one), one["role"]) for one in now}
    with connection.transaction():
        given = [
            _give_back(connection, kept, table, role)
            for table, role in sorted({(_table(one), one["role"]) for one in kept} & still)
        ]
        connection.execute(_SQL["forget"])
    return {"given_back": given}


def _give_back(connection: Connection, kept: Sequence[Facts], table: str, role: str) -> str:
    mine = [one for one in kept if (_table(one), one["role"]) == (table, role)]
    whole = next((one for one in mine if not one["column"]), None)
    if whole:
        names = {"table": relation_named(table).identifier(), "role": role_named(role)}
        run(connection, "revoke", of=_SQL, **names)
        run(connection, "grant_table", of=_SQL, **names, option=_option(whole["grantable"]))
    _grant(connection, table, role, [one for one in mine if one["column"]], without="")
    return f"{_who(role)} on {table}"


def drift(connection: Connection, wiring: UserWiring) -> list[str]:
    """What isn't any more as revoke() left it: who may update the role, and columns that nobody was granted since."""
    now, kept = update_grants(connection, wiring), _kept(connection)
    found = [f"{_who(role)} may update {quoted(wiring.role)} of {table}" for table, role, _ in _losing(wiring, now)]
    for one in kept:
        has = {other["column"] for other in now if (_table(other), other["role"]) == (_table(one), one["role"])}
        if one["column"] or not has or "" in has:
            continue
        if lacking := [name for name in _columns(connection, _table(one)) if name not in has | {wiring.role}]:
            found.append(f"{_who(one['role'])} may not update the new columns {', '.join(lacking)} of {_table(one)}")
    return found


def repair(connection: Connection, wiring: UserWiring) -> Facts:
    """Put right what drift() tells, in the transaction that is open: grant the columns that came since, and revoke."""
    kept, now = _kept(connection), update_grants(connection, wiring)
    for one in (one for one in kept if not one["column"]):
        has = {other["column"] for other in now if (_table(other), other["role"]) == (_table(one), one["role"])}
        if has and "" not in has:
            _grant(connection, _table(one), one["role"], [one], without=wiring.role)
    return revoke(connection, wiring)


def _grants_on(connection: Connection, tables: Iterable[Relation]) -> list[Facts]:
    oids = [facts["oid"] for one in tables if (facts := table_facts(connection, one))]
    return rows(connection, "update_grants", of=_SQL, oids=oids)


def _losing(wiring: UserWiring, grants: Iterable[Facts]) -> Iterator[tuple[str, str, bool]]:
    """The table and the role of each who may update the role; and whether that is by a privilege on the whole table."""
    seen: dict[tuple[str, str], bool] = {}
    for one in grants:
        if one["column"] in ("", wiring.role):
            key = (_table(one), one["role"])
            seen[key] = seen.get(key, False) or not one["column"]
    return ((table, role, whole) for (table, role), whole in seen.items())


def _grant(connection: Connection, table: str, role: str, grants: Sequence[Facts], *, without: str) -> None:
    """Grant columns as they were granted; a privilege on the whole table is one on each column."""
    options: dict[str, bool] = {}
    for one in grants:
        for name in [one["column"]] if one["column"] else _columns(connection, table):
            options[name] = options.get(name, False) or one["grantable"]
    for grantable in (False, True):
        if names := [name for name, option in options.items() if option is grantable and name != without]:
            run(
                connection,
                "grant_columns",
                of=_SQL,
                table=relation_named(table).identifier(),
                role=role_named(role),
                columns=sql.SQL(", ").join(map(sql.Identifier, names)),
                option=_option(grantable),
            )


def _kept(connection: Connection) -> list[Facts]:
    found = rows(connection, "kept", of=_SQL)
    value: list[Facts] = found[0]["value"] if found else []
    there = {one["role"] for one in value if one["role"] and not _there(connection, one["role"])}
    return [one for one in value if one["role"] not in there]


def _there(connection: Connection, role: str) -> bool:
    return bool(rows(connection, "role_exists", of=_SQL, role=role)[0]["there"])


def _columns(connection: Connection, table: str) -> list[str]:
    facts = table_facts(connection, relation_named(table))
    return list(facts["columns"]) if facts else []


def _parts(connection: Connection, wiring: UserWiring) -> list[Relation]:
    return parts_of(connection, relation_named(wiring.table))


def _table(one: Facts) -> str:
    return str(Relation(one["schema"], one["name"]))


def _who(role: str) -> str:
    return quoted(role) if role else "PUBLIC"


def _option(grantable: bool) -> sql.SQL:
    return _OPTION if grantable else sql.SQL("")
