"""What is not any more as it was installed at the audited tables: their triggers, and the columns that these name."""

from __future__ import annotations

from collections.abc import Iterator

from tabsync.audit.database.functions import EVENTS, function_name
from tabsync.audit.database.partitions import KEEP, KEPT, bounds
from tabsync.audit.database.setup import OWNER, Audited, Setup, parts_of, rows, table_facts
from tabsync.audit.database.trigger_grants import table, trigger_grants, who
from tabsync.audit.database.triggers import arguments, own_name, trigger_name
from tabsync.kernel.step import Facts
from tabsync.postgres.catalog import Relation, relation_named
from tabsync.postgres.connect import Connection
from tabsync.postgres.queries import named

_SQL = named(__package__, "drift.sql")
_STATES = {
    "D": "is disabled",
    "O": "is skipped where session_replication_role is replica",
    "R": "fires only where session_replication_role is replica",
}

Wrong = tuple[str, str, str]
"""What it is, the part of a repair that puts it right, and a hint; either may be ""."""


def wrong_tables(connection: Connection, setup: Setup) -> Iterator[Wrong]:
    """All of it."""
    found = {(one["schema"], one["table"], one["name"]): one for one in rows(connection, "triggers", of=_SQL)}
    yield from _columns(connection, setup, found)
    parts = {one.relation: parts_of(connection, one.relation) for one in setup.tables}
    for one in setup.tables:
        for part in parts[one.relation]:
            told = _told(one, part)
            for event in EVENTS:
                there = found.pop((part.schema, part.name, trigger_name(event)), None)
                function = f"{OWNER}.{function_name(event, one)}"
                if why := _wrong(there, function, told):
                    yield f"the trigger {trigger_name(event)} on {part} {why}", f"triggers {one.relation}", ""
    users = {relation_named(setup.users.table)} if setup.users else set()
    whole = {part: relation for relation, each in parts.items() if relation not in users for part in each}
    for may in trigger_grants(connection, whole):
        relation = whole[Relation(may["schema"], may["name"])]
        yield f"{who(may)} may create triggers on {table(may)}", f"triggers {relation}", ""
    for part in [setup.log, *(Relation(one["schema"], one["name"]) for one in bounds(connection, setup.log))]:
        for name, function in ((KEEP, "keep"), (f"{KEPT}_update", "kept"), (f"{KEPT}_delete", "kept")):
            there = found.pop((part.schema, part.name, name), None)
            if why := _wrong(there, f"{OWNER}.{function}", ""):
                yield f"the trigger {name} on {part} {why}: entries of the log could be changed", "log", ""
    left = {
        Relation(schema, table): one for (schema, table, name), one in found.items() if name.startswith("tabsync_audit")
    }
    for relation, there in left.items():
        yield _unaudited(relation, there)


def _columns(connection: Connection, setup: Setup, found: dict[tuple[str, str, str], Facts]) -> Iterator[Wrong]:
    """Columns that the triggers were told at the install, and that were renamed or dropped since."""
    installed = {Relation(one["schema"], one["name"]): one for one in rows(connection, "policy", of=_SQL)}
    for one in setup.tables:
        relation, part = one.relation, f"triggers {one.relation}"
        there = found.get((relation.schema, relation.name, trigger_name("insert")))
        before, facts = installed.get(relation), table_facts(connection, relation)
        if before is None or facts is None or there is None or there["arguments"] == _told(one, relation):
            continue
        if gone := _gone(before["keys"], facts):
            told = f"the entries of {relation} name no row since its key was changed: it has no column {gone}"
            yield told, part, "an UPDATE is written as a DELETE and an INSERT until a repair"
        if (gone := _gone(before["secret"], facts)) and not _gone(one.secret, facts):
            told = f"the entries of {relation} have no values but its key, since it has no column {gone}"
            yield told, part, "the manual names another one, and its triggers don't know it yet"


def _told(one: Audited, part: Relation) -> str:
    """The arguments of a trigger as pg_trigger.tgargs has them, in hexadecimal."""
    return "".join(value.encode().hex() + "00" for value in arguments(one, part))


def _gone(names: list[str] | tuple[str, ...], facts: Facts) -> str:
    return ", ".join(name for name in names if name not in facts["columns"])


def _unaudited(relation: Relation, there: Facts) -> Wrong:
    """A table that has our triggers, and that the manual doesn't name: perhaps it had another name."""
    told = bytes.fromhex(there["arguments"]).decode(errors="replace").split("\0")
    if len(told) > 6 and told[6] != own_name(relation):
        return (
            f"{relation} was {told[6]} when its triggers were created: its entries have its name of today,"
            " and the manual doesn't audit it",
            "policy",
            "to go on recording it, name it in the manual first: a repair drops its triggers",
        )
    return f"{relation} has the triggers of the audit log, and is not audited by the manual", "policy", ""


def _wrong(there: Facts | None, function: str, told: str) -> str:
    if there is None:
        return "is missing"
    if there["enabled"] != "A":
        return _STATES.get(there["enabled"], "is not ENABLE ALWAYS")
    if there["function"] != function:
        return f"calls {there['function']} instead of {function}"
    return "was created with other arguments" if there["arguments"] != told else ""
