"""The log becomes partitioned by month, online: its rows stay where they are and become the first partition."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from psycopg import sql
from psycopg.types.json import Jsonb

from tabsync.audit.database.indexes import INDEXES, build
from tabsync.audit.database.locks import patiently
from tabsync.audit.database.months import AHEAD, first_of, part_name, written
from tabsync.audit.database.partitions import (
    attach_default,
    attach_month,
    attach_months,
    covered,
    dress,
    free_name,
    now,
)
from tabsync.audit.database.privileges import grant_as_before
from tabsync.audit.database.setup import DATABASE, OWNER, Setup, rows, run, table_facts
from tabsync.kernel.errors import FailedPartway
from tabsync.kernel.step import Facts
from tabsync.postgres.catalog import Relation
from tabsync.postgres.connect import Connection
from tabsync.postgres.queries import named

SQL = named(__package__, "log.sql")
ADDED = {
    "xid": "xid8",
    "origin": "text",
    "table_name": "text",
    "db_user": "text",
    "db_role": "text",
    "app": "text",
    "client": "inet",
    "actor": "text",
    "actor_how": "text",
    "reason": "text",
}
"""The columns that the log gets, all nullable: a row from before the install has none of them."""

_MARGIN = timedelta(days=14)
"""For so long after its start an install may go on, or be interrupted, before its condition keeps an entry out."""


def prepare(connection: Connection, setup: Setup) -> Facts:
    """Create the log where there is none, remember whose it was, and add our columns."""
    if setup.owner == OWNER and not rows(connection, "may", of=DATABASE)[0]["superuser"]:
        run(connection, "own_in_schema", schema=sql.Identifier(setup.log.schema), owner=setup.owned_by())
    facts = table_facts(connection, setup.log)
    if facts is None:
        with connection.transaction():
            _create(connection, setup)
        facts = table_facts(connection, setup.log) or {}
    owner = [one["value"] for one in _kept(connection) if one["name"] == "log_owner"]
    if not owner:
        with connection.transaction():
            kept = {"log_owner": facts["owner"], "log_privileges": rows(connection, "privileges", oid=facts["oid"])}
            for name, value in kept.items():
                connection.execute(DATABASE["keep_setting"], {"name": name, "value": Jsonb(value)})
    there = [one["name"] for one in rows(connection, "columns", oid=facts["oid"])]
    if lacking := [name for name in ADDED if name not in there]:
        parts = [sql.SQL("add column {} {}").format(sql.Identifier(name), sql.SQL(ADDED[name])) for name in lacking]
        patiently(
            connection,
            f"add columns to {setup.log}",
            lambda: run(
                connection, "add_columns", of=SQL, log=setup.log.identifier(), columns=sql.SQL(", ").join(parts)
            ),
        )
    return {"log": str(setup.log), "columns": lacking}


def bound(connection: Connection, setup: Setup) -> Facts:
    """See that all its rows are of a time before a month's end, by a condition that is checked beside the writers.

    The application's own entries can't be later meanwhile, so it is the end of the month in which it is some days from
    now, and one that comes soon is replaced.
    """
    facts = table_facts(connection, setup.log) or {}
    if facts["kind"] == "p":
        return {"until": None}
    log = setup.log.identifier()
    checks = {one["name"]: one for one in rows(connection, "checks", oid=facts["oid"])}
    here = now(connection)
    if "tabsync_until" in checks and _until(checks["tabsync_until"]) <= here + _MARGIN / 2:
        run(connection, "drop_constraint", of=SQL, log=log, name=sql.Identifier("tabsync_until"))
        checks.pop("tabsync_until")
    if "tabsync_until" not in checks:
        newest = connection.execute(sql.SQL(SQL["newest"]).format(log=log)).fetchone() or (None, here)
        until = first_of(max(filter(None, (*newest, here + _MARGIN))), 1)
        limit = sql.Literal(written(until))
        patiently(connection, f"bound {setup.log}", lambda: run(connection, "check", of=SQL, log=log, until=limit))
    run(connection, "validate", of=SQL, log=log)
    checks = {one["name"]: one for one in rows(connection, "checks", oid=facts["oid"])}
    return {"until": _until(checks["tabsync_until"]).isoformat()}


def index(connection: Connection, setup: Setup) -> Facts:
    """Build the indexes that it needs as a partition, beside the writers. What an attempt has left is dropped."""
    facts = table_facts(connection, setup.log) or {}
    if facts["kind"] == "p":
        return build(connection, setup)
    wanted = {"id_created_at": ("key", ""), **{name: ("index", what) for name, what in INDEXES.items()}}
    built = []
    for ending, (statement, what) in wanted.items():
        name = part_name(setup.log.name, f"tabsync_{ending}")
        found = [one for one in rows(connection, "indexes", oid=facts["oid"]) if one["name"] == name]
        if found and not found[0]["valid"]:
            run(connection, "drop_index", of=SQL, index=sql.Identifier(setup.log.schema, name))
        if not found or not found[0]["valid"]:
            names = {"name": sql.Identifier(name), "table": setup.log.identifier()}
            run(connection, statement, of=SQL, **names, **({"what": sql.SQL(what)} if what else {}))
            built.append(name)
    return {"built": built}


def turn(connection: Connection, setup: Setup) -> Facts:
    """Make it partitioned: all that needs no lock of it first, then the rest in one short transaction."""
    facts = table_facts(connection, setup.log) or {}
    if facts["kind"] == "p":
        patiently(connection, f"take {setup.log} over", lambda: take_over(connection, setup))
        attach_months(connection, setup)
        return {"first": None}
    checks = {one["name"]: one for one in rows(connection, "checks", oid=facts["oid"])}
    until = _until(checks["tabsync_until"])
    patiently(connection, f"give {setup.log} its key", lambda: _new_key(connection, setup, facts))
    following = Relation(setup.log.schema, part_name(setup.log.name, "tabsync_next"))
    with connection.transaction():
        _prepare(connection, setup, following, until)
    first = patiently(connection, f"partition {setup.log}", lambda: _turn(connection, setup, following, until))
    return {"first": str(first)}


def _prepare(connection: Connection, setup: Setup, following: Relation, until: datetime) -> None:
    """The table that is going to be the log, with the partitions of the times after the old one."""
    run(connection, "drop_next", of=SQL, log=following.identifier())
    run(connection, "partitioned", of=SQL, log=following.identifier(), old=setup.log.identifier())
    run(connection, "drop_constraint", of=SQL, log=following.identifier(), name=sql.Identifier("tabsync_until"))
    attach_default(connection, setup, following)
    for later in range(AHEAD + 1):
        if first_of(now(connection), later) >= until:
            attach_month(connection, setup, later, following)


def _turn(connection: Connection, setup: Setup, following: Relation, until: datetime) -> Relation:
    log = setup.log.identifier()
    run(connection, "lock", of=SQL, log=log)
    facts = table_facts(connection, setup.log) or {}
    first = free_name(connection, setup, f"until_{until:%Y_%m}")
    sequence = _take_sequence(connection, setup, facts)
    _rename(connection, setup, facts, first)
    run(connection, "rename", of=SQL, log=following.identifier(), name=sql.Identifier(setup.log.name))
    _rename_indexes(connection, setup, following)
    old = first.identifier()
    limits = {"since": sql.SQL("minvalue"), "until": sql.Literal(written(until))}
    run(connection, "attach", of=SQL, log=log, part=old, **limits)
    run(connection, "drop_constraint", of=SQL, log=old, name=sql.Identifier("tabsync_until"))
    if sequence:
        run(connection, "no_id_default", of=SQL, log=old)
    dress(connection, setup, first)
    _give(connection, setup, sequence)
    return first


def take_over(connection: Connection, setup: Setup) -> None:
    """Give a partitioned log to its owner, with a default partition, and to others what they had.

    The log is locked before its partitions, as whoever writes does it: else each would wait for the other.
    """
    run(connection, "lock", of=SQL, log=setup.log.identifier())
    attach_default(connection, setup)
    for part in covered(connection, setup.log):
        dress(connection, setup, part)
    _give(connection, setup, None)


def _give(connection: Connection, setup: Setup, sequence: Relation | None) -> None:
    """The partitioned table itself, and the sequence of its ids."""
    log = setup.log.identifier()
    facts = table_facts(connection, setup.log) or {}
    columns = rows(connection, "columns", oid=facts["oid"])
    identity = any(one["identity"] for one in columns if one["name"] == "id")
    sequence = sequence or _sequence(connection, facts["oid"])
    if sequence is None:
        raise FailedPartway(f"the ids of {setup.log} come from no sequence", "give its column id a sequence as default")
    name = sql.Literal(sequence.identifier().as_string(None))
    if not identity:
        run(connection, "default_of", of=SQL, log=log, sequence_name=name)
    run(connection, "own", of=SQL, log=log, owner=setup.owned_by())
    if not identity:
        run(connection, "own_sequence", of=SQL, log=log, sequence=sequence.identifier(), owner=setup.owned_by())
    dress(connection, setup, setup.log)
    before = next(one["value"] for one in _kept(connection) if one["name"] == "log_privileges")
    grant_as_before(connection, setup, before, [one["name"] for one in columns], sequence)


def _take_sequence(connection: Connection, setup: Setup, facts: Facts) -> Relation | None:
    """The sequence of its ids, free of the column: of an identity it is made again, where it was."""
    found = rows(connection, "sequence", oid=facts["oid"])
    if not found:
        return None
    relation = Relation(found[0]["schema"], found[0]["name"])
    sequence, name = relation.identifier(), sql.Literal(relation.identifier().as_string(None))
    if not found[0]["identity"]:
        run(connection, "free_sequence", of=SQL, sequence=sequence)
        return relation
    state = sql.SQL(SQL["sequence_state"]).format(sequence=sequence, sequence_name=name)
    last, called, increment, cache, maximum = connection.execute(state).fetchone() or (1, False, 1, 1, 2**63 - 1)
    run(connection, "drop_identity", of=SQL, log=setup.log.identifier())
    values = {"increment": increment, "cache": cache, "maximum": maximum, "last_value": last, "is_called": called}
    given = {key: sql.Literal(value) for key, value in values.items()}
    run(connection, "new_sequence", of=SQL, sequence=sequence, sequence_name=name, **given)
    return relation


def _new_key(connection: Connection, setup: Setup, facts: Facts) -> None:
    """The key gets the time of the partition beside the id, unless it has it already."""
    indexes = rows(connection, "indexes", oid=facts["oid"])
    primary = [one for one in indexes if one["is_primary"]]
    if primary and primary[0]["columns"] != ["id", "created_at"]:
        ready = next(one for one in indexes if one["name"] == part_name(setup.log.name, "tabsync_id_created_at"))
        old = primary[0]["constraint_name"]
        names = {"old": sql.Identifier(old), "name": sql.Identifier(old), "index": sql.Identifier(ready["name"])}
        run(connection, "new_key", of=SQL, log=setup.log.identifier(), **names)


def _rename(connection: Connection, setup: Setup, facts: Facts, first: Relation) -> None:
    """The old table and its indexes make room for the names of the new."""
    for number, one in enumerate(rows(connection, "indexes", oid=facts["oid"]), 1):
        names = {"index": sql.Identifier(one["schema"], one["name"])}
        run(connection, "rename_index", of=SQL, name=sql.Identifier(part_name(first.name, f"{number}")), **names)
    run(connection, "rename", of=SQL, log=setup.log.identifier(), name=sql.Identifier(first.name))


def _rename_indexes(connection: Connection, setup: Setup, following: Relation) -> None:
    """Those of the new table are named as if it had always had its name."""
    facts = table_facts(connection, setup.log) or {}
    for one in rows(connection, "indexes", oid=facts["oid"]):
        ending = one["name"].removeprefix(f"{following.name}_")
        if ending != one["name"]:
            name = free_name(connection, setup, ending)
            names = {"index": sql.Identifier(one["schema"], one["name"]), "name": sql.Identifier(name.name)}
            run(connection, "rename_index", of=SQL, **names)


def _create(connection: Connection, setup: Setup) -> None:
    sequence = sql.Identifier(setup.log.schema, part_name(setup.log.name, "id_seq"))
    key = sql.Identifier(part_name(setup.log.name, "pkey"))
    name = sql.Literal(sequence.as_string(None))
    run(connection, "create", of=SQL, log=setup.log.identifier(), key=key, sequence=sequence, sequence_name=name)


def _sequence(connection: Connection, oid: int) -> Relation | None:
    found = rows(connection, "sequence", oid=oid)
    return Relation(found[0]["schema"], found[0]["name"]) if found else None


def _kept(connection: Connection) -> Sequence[Facts]:
    return rows(connection, "settings", of=DATABASE)


def _until(check: Facts) -> datetime:
    """The time of the condition, as the server writes it back."""
    return datetime.fromisoformat(check["definition"].split("'")[1]).astimezone()
