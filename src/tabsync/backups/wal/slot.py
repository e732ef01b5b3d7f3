"""The physical replication slot that keeps WAL on the server until it was received, and its budget.

A slot that nobody reads from fills the server's disk. So each has a budget in bytes: first it is an alarm, and with
--drop-slot-over the slot is dropped, which costs the archive's continuity and saves the server.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psycopg
from psycopg.rows import dict_row

from tabsync.kernel.errors import BadUsage, NotAllowed, Refused
from tabsync.kernel.plan import Plan
from tabsync.kernel.step import Facts, Risk, Step, call
from tabsync.kernel.units import human_bytes, parse_bytes
from tabsync.postgres import catalog
from tabsync.postgres.connect import Connection
from tabsync.postgres.queries import named

if TYPE_CHECKING:
    from tabsync.workspace import Context, Workspace

SQL = named(__package__, "wal.sql")

DEFAULT_SLOT = "tabsync_wal"


@dataclass(frozen=True, slots=True)
class Slot:
    """A slot as the server has it. retained_bytes: of WAL that it keeps; None when it keeps none.

    wal_status: PostgreSQL's word for it: reserved, extended, unreserved, lost.
    """

    name: str
    type: str
    active: bool
    active_pid: int | None
    restart_lsn: str | None
    wal_status: str | None
    retained_bytes: int | None


def size_of(text: str) -> int:
    """'10GB' in bytes, with PostgreSQL's units. Raises BadUsage."""
    try:
        return parse_bytes(text)
    except ValueError:
        raise BadUsage(f"{text!r} is not a size", "write it like 500MB or 20GB") from None


def read_slot(connection: Connection, name: str) -> Slot | None:
    """A slot, or None when there is none of that name."""
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(SQL["slot"], {"slot": name}).fetchone()
    return Slot(**row) if row else None


def check_slot(connection: Connection, name: str) -> Slot | None:
    """The slot if it can be used, None when it has to be made. Raises BadUsage or Refused."""
    if not re.fullmatch(r"[a-z0-9_]{1,63}", name):
        raise BadUsage(f"{name!r} can't be the name of a slot", "use lower-case letters, digits and _")
    slot = read_slot(connection, name)
    if slot is not None and slot.type != "physical":
        raise Refused(f"slot {name} is a {slot.type} slot", "name another slot: --slot")
    if slot is not None and slot.wal_status == "lost":
        raise Refused(
            f"the server has removed WAL that slot {name} still needed: the archive has a gap",
            f"tabsync wal drop-slot --slot {name}, start again, then take a base backup: tabsync backup take physical",
        )
    return slot


def check_progress(connection: Connection) -> None:
    """See that the user is told how far a receiver has come: else nobody knows what is stored. Raises NotAllowed."""
    if connection.execute(SQL["sees_receivers"]).fetchone() != (True,):
        user = catalog.quoted(connection.info.user)
        raise NotAllowed(
            f"user {user} lacks pg_monitor, so the position of its WAL is hidden",
            f"psql -c 'grant pg_monitor to {user}'",
        )


def plan_drop(workspace: Workspace, slot: str) -> Plan:
    """Plan to drop a slot. Raises BadUsage when there is none. Nothing is changed."""
    with workspace.connect("wal") as connection:
        target = catalog.identity(connection)
        there = read_slot(connection, slot)
    if there is None:
        raise BadUsage(f"the server has no slot {slot}", "to see the slots: tabsync wal status")
    kept = human_bytes(there.retained_bytes or 0)
    step = Step(
        "drop",
        f"Drop slot {slot}; the server keeps {kept} of WAL for it",
        call(drop, slot=slot),
        preview=f"select pg_drop_replication_slot('{slot}')",
        risk=Risk.DESTRUCTIVE,
        undo="no undo: WAL that was not received is lost; take a new base backup: tabsync backup take physical",
    )
    return Plan("wal drop-slot", f"Drop slot {slot}", (step,), target, confirm=slot)


def create(context: Context, *, slot: str) -> Facts:
    """Make the slot, unless it is there."""
    with context.workspace.connect("wal") as connection:
        there = check_slot(connection, slot)
        if there is not None:
            return {"created": False, "lsn": there.restart_lsn}
        try:
            row = connection.execute(SQL["create_slot"], {"slot": slot}).fetchone()
        except psycopg.errors.ConfigurationLimitExceeded:
            raise Refused("all replication slots of the server are in use", "increase max_replication_slots") from None
    return {"created": True, "lsn": row[0] if row else None}


def drop(context: Context, *, slot: str) -> Facts:
    """Drop the slot. Raises NotAllowed while somebody receives from it."""
    with context.workspace.connect("wal") as connection:
        there = read_slot(connection, slot)
        if there is None:
            return {"dropped": False, "retained_bytes": 0}
        try:
            connection.execute(SQL["drop_slot"], {"slot": slot})
        except psycopg.errors.ObjectInUse:
            raise NotAllowed(
                f"slot {slot} is in use: WAL is being received from it", "stop tabsync wal receive first"
            ) from None
    return {"dropped": True, "retained_bytes": there.retained_bytes}
