"""What stands against installing the audit log, found before anything is changed, and named."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tabsync.audit.database.partition_log import ADDED
from tabsync.audit.database.partitions import KEEP, KEPT
from tabsync.audit.database.privileges import OURS
from tabsync.audit.database.setup import Setup, rows, table_facts
from tabsync.kernel.errors import NotAllowed, Refused
from tabsync.kernel.step import Facts
from tabsync.postgres.connect import Connection

_SEED = {
    "id": ("bigint", "integer"),
    "user_id": (),
    "action": ("text", "character varying"),
    "entity_type": ("text", "character varying"),
    "entity_id": ("text", "character varying"),
    "old_value": ("jsonb",),
    "new_value": ("jsonb",),
    "created_at": ("timestamp with time zone",),
}
"""The columns that a log has, and the types that each may have; (): any of PostgreSQL's own."""

_LENGTH = re.compile(r"\((\d+)\)")
_LONG = ("action", "entity_type", "entity_id")
_ROOM = 255

_OWN_TRIGGERS = [KEEP, *(f"{KEPT}_{event}" for event in ("update", "delete"))]


def check_log(connection: Connection, setup: Setup) -> None:
    """See that the log can be taken over. Raises Refused with the first thing that stands against it, NotAllowed."""
    facts = table_facts(connection, setup.log)
    if facts is None:
        return
    if not rows(connection, "may_alter", oid=facts["oid"])[0]["may"]:
        raise NotAllowed(
            f"only the owner of {setup.log} may install it: {facts['owner']}", "connect as the owner, or as a superuser"
        )
    if facts["is_partition"]:
        raise Refused(f"{setup.log} is a partition", "in the manual, name the table that it belongs to")
    if facts["kind"] == "p":
        key = rows(connection, "partition_key", oid=facts["oid"])[0]["key"]
        if key != "RANGE (created_at)":
            raise Refused(f"{setup.log} is partitioned by {key}", "it has to be partitioned by RANGE (created_at)")
    for told, hint in _columns(setup, rows(connection, "columns", oid=facts["oid"])):
        raise Refused(told, hint)
    plain = facts["kind"] == "r"
    for one in rows(connection, "dependents", oid=facts["oid"], own=_OWN_TRIGGERS, plain=plain):
        raise Refused(f"{_dependent(setup, one)}", _remedy(one["kind"]))


def check_tables(connection: Connection, setup: Setup) -> None:
    """See that each table can be audited. Raises NotAllowed, Refused."""
    for one in setup.tables:
        facts = table_facts(connection, one.relation) or {}
        if one.relation == setup.log:
            raise Refused(f"{setup.log} is the log itself", "in the manual, leave it out of the audited tables")
        if facts["is_partition"]:
            raise Refused(f"{one.relation} is a partition", "in the manual, name the table that it belongs to")
        if not rows(connection, "may_alter", oid=facts["oid"])[0]["may"]:
            raise NotAllowed(
                f"only the owner of {one.relation} may have it audited: {facts['owner']}",
                "connect as the owner, or as a superuser",
            )
    for cast in rows(connection, "casts"):
        raise Refused(
            f"the type {cast['type']} has a cast to JSON, {cast['function']}, which would run as the owner of the log",
            "drop the cast",
        )


def weaker(connection: Connection, setup: Setup, *, superuser: bool) -> Iterator[str]:
    """What this role can't have installed as strongly as a superuser could, in words."""
    if setup.owner != "tabsync_audit":
        yield (
            f"weaker: this role may neither create nor use the role tabsync_audit, so {setup.owner} owns the log and "
            "its functions, and can change both; sealing still shows that entries were changed"
        )
    elif not superuser:
        yield (
            "weaker: no superuser installs it, so this role stays a member of tabsync_audit and can change the log; "
            "sealing still shows that entries were changed"
        )
        yield (
            "weaker: without a superuser's event trigger, a cast to JSON that the owner of an audited table makes"
            f" runs as {setup.owner} in a transaction of REPEATABLE READ that is older than the cast"
        )
        yield "weaker: a TRUNCATE of a table with row security keeps no rows, only how many there were"
    found = rows(connection, "schema_owner", schema=setup.log.schema)
    if found and not found[0]["superuser"]:
        yield f"the owner of the schema {setup.log.schema}, {found[0]['owner']}, can still drop the log as a whole"
    yield from overwritten(connection)
    for one in setup.tables:
        if not one.keys:
            yield f"{one.relation} has no key: its entries name no row, and an UPDATE is a row gone and a row come"
        facts = table_facts(connection, one.relation) or {}
        for child in rows(connection, "children", oid=facts["oid"]):
            yield f"{child['name']} inherits from {one.relation}: what is changed in it directly is not recorded"


def overwritten(connection: Connection) -> Iterator[str]:
    """Who can write what only our functions should."""
    for one in rows(connection, "members", role="pg_write_all_data"):
        yield (
            f"{one['role']} is a member of pg_write_all_data: it can write entries as if the triggers had, change them,"
            " and change who may have which role"
        )


def _columns(setup: Setup, columns: list[Facts]) -> Iterator[tuple[str, str]]:
    """What is wrong with the columns of the log, each with what to do."""
    found = {one["name"]: one for one in columns}
    for name, types in _SEED.items():
        if name not in found:
            yield f"{setup.log} has no column {name}", f"alter table {setup.log} add column {name} ..."
        elif found[name]["own_type"] or (types and _LENGTH.sub("", found[name]["type"]) not in types):
            yield (
                f"the column {name} of {setup.log} is of type {found[name]['type']}",
                f"it has to be of type {' or '.join(types) or 'uuid, bigint or text'}",
            )
        elif (length := _LENGTH.search(found[name]["type"])) and name in _LONG and int(length[1]) < _ROOM:
            yield (
                f"the column {name} of {setup.log} has room for {length[1]} characters: a longer entry would fail",
                f"alter table {setup.log} alter column {name} type text",
            )
    for name, one in found.items():
        if name in ADDED and one["type"] != ADDED[name]:
            yield (
                f"{setup.log} has a column {name} of its own, of type {one['type']}",
                f"rename it: the audit log has one of type {ADDED[name]}",
            )
        elif name in _SEED or name in OURS:
            continue
        elif one["own_type"]:
            yield f"the column {name} of {setup.log} has a type of the application's, {one['type']}", "make it text"
        elif one["not_null"] and not (one["has_default"] or one["identity"] or one["generated"]):
            yield (
                f"the column {name} of {setup.log} is NOT NULL and has no default: the triggers could not fill it",
                f"alter table {setup.log} alter column {name} drop not null",
            )


def _dependent(setup: Setup, one: Facts) -> str:
    if one["kind"] == "function":
        return f"{one['name']} belongs to {setup.log} and would run as its owner, or depends on it"
    if one["kind"] == "inheritance":
        return f"{one['name']} and {setup.log} inherit from each other"
    if one["kind"] == "unique index":
        return f"the unique index {one['name']} lacks created_at: a partitioned table can't have it"
    return f"the {one['kind']} {one['name']} depends on {setup.log}, and would stay with its first partition"


def _remedy(kind: str) -> str:
    if kind == "foreign key":
        return "drop it: the log outlives the rows that it tells of"
    if kind == "publication":
        return "take the table out of it; afterwards add it again with publish_via_partition_root"
    return "drop it; it can be created again afterwards"
