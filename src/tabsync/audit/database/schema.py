"""The role, the schema, and the small tables of the audit log."""

from __future__ import annotations

import secrets

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from tabsync.audit.database.functions import write_functions
from tabsync.audit.database.log import SEALS
from tabsync.audit.database.privileges import close
from tabsync.audit.database.setup import DATABASE, OWNER, Setup, beside, rows, run, table_facts
from tabsync.audit.database.trust import check_ours
from tabsync.kernel.errors import NotAllowed
from tabsync.kernel.step import Facts
from tabsync.postgres.connect import Connection

VERSION = 1
"""Of what is installed."""
TABLES = ("settings", "tables", "roles", "seals", "secret")
SEQUENCES = ("gaps", "last_gap", "last_sealed")
TRUNCATE_ROWS = 10_000
TRUNCATE_BYTES = 64 * 1024 * 1024
"""Up to where TRUNCATE keeps rows."""


def make_role(connection: Connection, setup: Setup) -> Facts:
    """The role that owns it all, where we may create one; and the schema."""
    with connection.transaction():
        check_ours(connection)
        may = rows(connection, "may", of=DATABASE)[0]
        made = setup.owner == OWNER and not may["there"]
        if made:
            run(connection, "role", owner=setup.owned_by())
        if setup.owner == OWNER and not made and looseness(connection):
            tame(connection)
        if setup.owner == OWNER and may["superuser"]:
            run(connection, "bypass", owner=setup.owned_by())
        elif setup.owner == OWNER:
            run(connection, "become", owner=setup.owned_by())
        run(connection, "schema", owner=setup.owned_by())
    return {"owner": setup.owner, "created": made}


def looseness(connection: Connection) -> list[str]:
    """What the role tabsync_audit may, and should not: log in, create roles; [] where there is none."""
    found = rows(connection, "loose", of=DATABASE)
    return list(found[0]["may"]) if found else []


def tame(connection: Connection) -> None:
    """Take all that from it. Raises NotAllowed, for a superuser among others: somebody has made it on purpose."""
    try:
        with connection.transaction():
            run(connection, "tame", owner=sql.Identifier(OWNER))
    except psycopg.errors.InsufficientPrivilege:
        pass
    if left := looseness(connection):
        raise NotAllowed(
            f"the role {OWNER}, which is to own the log, may {', '.join(left)}",
            f"as a superuser: alter role {OWNER} nologin nosuperuser nocreaterole nocreatedb noreplication",
        )


def make_tables(connection: Connection, setup: Setup) -> Facts:
    """The tables and sequences, with what the manual says written into them."""
    with connection.transaction():
        run(connection, "tables")
        if not rows(connection, "has_seals", of=SEALS)[0]["there"]:
            connection.execute(SEALS["table"])
        for kind, names in (("table", TABLES), ("sequence", SEQUENCES)):
            for name in names:
                parts = {"kind": sql.SQL(kind), "name": sql.Identifier(name)}
                run(connection, "owned", owner=setup.owned_by(), **parts)
        connection.execute(DATABASE["start_counters"])
        key = secrets.token_bytes(64)
        pads = {"inner": bytes(one ^ 0x36 for one in key), "outer": bytes(one ^ 0x5C for one in key)}
        connection.execute(DATABASE["secret"], pads)
        write_policy(connection, setup)
        known = [str(one) for one in beside(connection, setup.tables)]
        connection.execute(DATABASE["write_setting"], {"name": "known_tables", "value": Jsonb(known)})
        close(connection)
    return {"tables": len(setup.tables), "roles": len(setup.roles)}


def write_policy(connection: Connection, setup: Setup) -> None:
    """Write down what the manual says: tables, roles, bounds."""
    settings = {
        "version": VERSION,
        "log": str(setup.log),
        "truncate_rows": TRUNCATE_ROWS,
        "truncate_bytes": TRUNCATE_BYTES,
    }
    for name, value in settings.items():
        connection.execute(DATABASE["write_setting"], {"name": name, "value": Jsonb(value)})
    connection.execute(DATABASE["forget_tables"])
    for one in setup.tables:
        values = {"schema": one.relation.schema, "name": one.relation.name, "must": one.must, "entity": one.entity}
        connection.execute(DATABASE["write_table"], values | {"keys": list(one.keys), "secret": list(one.secret)})
    connection.execute(DATABASE["forget_roles"])
    for rank in setup.roles:
        connection.execute(
            DATABASE["write_role"], {"role": rank.role, "above": list(rank.above), "sign_up": rank.sign_up}
        )


def make_functions(connection: Connection, setup: Setup) -> Facts:
    """The functions, for the log as it is."""
    with connection.transaction():
        run(connection, "schema", owner=setup.owned_by())
        write_functions(connection, setup, user_type(connection, setup))
        run(connection, "use_schema", schema=sql.Identifier(setup.log.schema), owner=setup.owned_by())
        close(connection)
    return {}


def user_type(connection: Connection, setup: Setup) -> str:
    """The type of the log's column for the person who did it."""
    facts = table_facts(connection, setup.log)
    columns = rows(connection, "columns", oid=facts["oid"]) if facts else []
    return next((one["type"] for one in columns if one["name"] == "user_id"), "uuid")


def settings_of(connection: Connection) -> Facts:
    """What was written down at the install, by name."""
    return {one["name"]: one["value"] for one in rows(connection, "settings", of=DATABASE)}


def is_installed(connection: Connection) -> bool:
    """Whether there is anything of it. Raises Refused where somebody else has made it."""
    check_ours(connection)
    return bool(rows(connection, "installed", of=DATABASE)[0]["installed"])
