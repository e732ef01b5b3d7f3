"""The partitions of the log: one for each month ahead, one for all else, and all of them only grow."""

from __future__ import annotations

from datetime import datetime

import psycopg
from psycopg import sql

from tabsync.audit.database.locks import patiently
from tabsync.audit.database.months import AHEAD, first_of, part_name, written
from tabsync.audit.database.privileges import close
from tabsync.audit.database.setup import DATABASE, Setup, rows, run, table_facts
from tabsync.kernel.errors import FailedPartway
from tabsync.kernel.step import Facts
from tabsync.postgres.catalog import Relation
from tabsync.postgres.connect import Connection
from tabsync.postgres.queries import named

_SQL = named(__package__, "partitions.sql")
_LOG = named(__package__, "log.sql")
KEEP = "tabsync_audit_keep"
KEPT = "tabsync_audit_kept"


def bounds(connection: Connection, log: Relation) -> list[Facts]:
    """The partitions of the log, with what each takes; none where it isn't partitioned."""
    return rows(connection, "bounds", of=_SQL, schema=log.schema, name=log.name)


def covered(connection: Connection, log: Relation) -> list[Relation]:
    """Its partitions."""
    return [Relation(one["schema"], one["name"]) for one in bounds(connection, log)]


def attach_default(connection: Connection, setup: Setup, to: Relation | None = None) -> Relation | None:
    """The partition for times that have none, unless it is there. to: the table that is going to be the log."""
    log = to or setup.log
    if any(one["is_default"] for one in bounds(connection, log)):
        return None
    part = free_name(connection, setup, "default")
    like(connection, setup, part, log)
    run(connection, "attach_default", of=_LOG, log=log.identifier(), part=part.identifier())
    return part


def attach_month(connection: Connection, setup: Setup, later: int, to: Relation | None = None) -> Relation | None:
    """The partition of a month, so many after the current one, unless its time is taken.

    A partition is made beside the log, and attached: that keeps nobody from writing, as CREATE ... PARTITION OF would.
    """
    log = to or setup.log
    since = first_of(now(connection), later)
    until = first_of(since, 1)
    if any(_overlap(one, since, until) for one in bounds(connection, log)):
        return None
    part = free_name(connection, setup, f"{since:%Y_%m}")
    like(connection, setup, part, log)
    limits = {"since": sql.Literal(written(since)), "until": sql.Literal(written(until))}
    run(connection, "attach", of=_LOG, log=log.identifier(), part=part.identifier(), **limits)
    return part


def attach_months(connection: Connection, setup: Setup) -> Facts:
    """The partitions of the current month and of those ahead, each in a short transaction.

    One of which the default partition has entries already can't be attached: move_default() gives it one.
    """
    made = []
    for later in range(AHEAD + 1):
        try:
            part = patiently(connection, "add a month", lambda n=later: attach_month(connection, setup, n))  # type: ignore[misc]
        except psycopg.errors.CheckViolation:
            continue
        made += [str(part)] if part else []
    return {"partitions": made}


def dress(connection: Connection, setup: Setup, part: Relation) -> None:
    """Give the log or a partition to its owner, take it from everybody else, and let it only grow."""
    facts = table_facts(connection, part) or {}
    run(connection, "own", of=_LOG, log=part.identifier(), owner=setup.owned_by())
    close(connection, [facts["oid"]])
    run(connection, "trigger_keep", name=sql.Identifier(KEEP), table=part.identifier())
    run(connection, "always", name=sql.Identifier(KEEP), table=part.identifier())
    for event in ("update", "delete"):
        name = sql.Identifier(f"{KEPT}_{event}")
        run(
            connection,
            "trigger",
            name=name,
            event=sql.SQL(event),
            table=part.identifier(),
            referencing=sql.SQL("referencing old table as tabsync_old"),
            function=sql.Identifier("kept"),
            arguments=sql.SQL(""),
        )
        run(connection, "always", name=name, table=part.identifier())


def free_name(connection: Connection, setup: Setup, what: str) -> Relation:
    """The name of a new partition; a number is added where a table has it that is no partition any more."""
    for number in range(1, 1_000):
        found = Relation(setup.log.schema, part_name(setup.log.name, what if number == 1 else f"{what}_{number}"))
        if not rows(connection, "name_taken", of=_SQL, schema=found.schema, name=found.name)[0]["taken"]:
            return found
    raise FailedPartway(f"no name is free for a partition of {setup.log}", "drop the tables that were detached from it")


def like(connection: Connection, setup: Setup, part: Relation, log: Relation | None = None) -> None:
    """A table for a partition, not attached yet: nobody waits for it."""
    run(connection, "like", of=_LOG, part=part.identifier(), log=(log or setup.log).identifier())
    dress(connection, setup, part)


def _overlap(one: Facts, since: datetime, until: datetime) -> bool:
    if one["is_default"]:
        return False
    begins_before = one["since"] is None or one["since"] < until
    return begins_before and (one["until"] is None or one["until"] > since)


def now(connection: Connection) -> datetime:
    """The server's clock decides what the current month is."""
    found: datetime = rows(connection, "now", of=DATABASE)[0]["now"]
    return found
