"""The triggers on the audited tables, each with the partitions of it."""

from __future__ import annotations

import json

from psycopg import sql

from tabsync.audit.database import trigger_grants
from tabsync.audit.database.functions import EVENTS, function_name
from tabsync.audit.database.locks import patiently
from tabsync.audit.database.setup import DATABASE, Audited, Setup, parts_of, rows, run
from tabsync.kernel.step import Facts
from tabsync.postgres.catalog import Relation
from tabsync.postgres.connect import Connection

_SEES = {
    "insert": "referencing new table as tabsync_new",
    "update": "referencing old table as tabsync_old new table as tabsync_new",
    "delete": "referencing old table as tabsync_old",
}


def trigger_name(event: str) -> str:
    """The trigger of an event."""
    return f"tabsync_audit_{event}"


def arguments(one: Audited, part: Relation) -> tuple[str, ...]:
    """What a trigger tells its function: the table, what the log calls it, its key or keys, what is masked, and how.

    part: the table or the partition that the trigger is on; by the last argument it knows that it was renamed since.
    """
    key = one.keys[0] if len(one.keys) == 1 else ""
    mask = json.dumps(dict.fromkeys(one.secret, "(secret)"), ensure_ascii=False) if one.secret else ""
    secret = _array(one.secret) if one.secret else ""
    return str(one.relation), one.entity, key, _array(one.keys), mask, secret, own_name(part)


def own_name(part: Relation) -> str:
    """As a trigger compares the name of the table that it is on."""
    return f"{part.schema}.{part.name}"


def set_triggers(connection: Connection, setup: Setup, one: Audited) -> Facts:
    """Give a table its triggers, in a short transaction for each of its partitions."""
    run(connection, "use_schema", schema=sql.Identifier(one.relation.schema), owner=setup.owned_by())
    done = []
    for part in parts_of(connection, one.relation):
        patiently(connection, f"audit {part}", lambda part=part: _set(connection, setup, one, part))  # type: ignore[misc]
        done.append(str(part))
    return {"tables": done}


def _set(connection: Connection, setup: Setup, one: Audited, part: Relation) -> None:
    trigger_grants.revoke(connection, [part])
    run(connection, "read_table", table=part.identifier(), owner=setup.owned_by())
    whole = rows(connection, "records", of=DATABASE, table=part.identifier().as_string(connection))[0]["whole"]
    told = sql.SQL(", ").join(map(sql.Literal, arguments(one, part)))
    for event in EVENTS:
        name = sql.Identifier(trigger_name(event))
        called = {"function": sql.Identifier(function_name(event, one)), "arguments": told}
        if event == "truncate":
            run(connection, "trigger_truncate", name=name, table=part.identifier(), **called)
        else:
            seen = {"event": sql.SQL(event), "referencing": sql.SQL(_SEES[event])}
            run(connection, "trigger", name=name, table=part.identifier(), **seen, **called)
        run(connection, "always", name=name, table=part.identifier())
    if not whole:  # the lock on the table keeps writers out, so from now on is the truth
        connection.execute(DATABASE["recorded_since"], {"table": str(one.relation)})


def _array(names: tuple[str, ...]) -> str:
    """Names as PostgreSQL writes an array of text."""
    quoted = (name.replace("\\", "\\\\").replace('"', '\\"') for name in names)
    return "{" + ",".join(f'"{name}"' for name in quoted) + "}"
