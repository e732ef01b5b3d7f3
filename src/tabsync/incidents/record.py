"""Where incidents are kept: their entries in the ledger, or in the emergency journal while that can't be written."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING

from tabsync.incidents.incident import Entry, Incident, Kind, entry_of, incidents_of
from tabsync.kernel.cards import without_cards
from tabsync.kernel.clock import compact, now
from tabsync.kernel.errors import BadUsage, NotRecorded
from tabsync.kernel.plain import in_one_line
from tabsync.kernel.step import Facts
from tabsync.ledger import entries
from tabsync.postgres.conninfo import place
from tabsync.providers.application import without_secrets

if TYPE_CHECKING:
    from tabsync.ledger.open import Ledger
    from tabsync.workspace import Workspace

TABLE = "incident_entry"
_MOST = 200  # incidents that are looked through, the newest
LONGEST = 4_000  # characters of a line
_LOCK = 0x7461_6273_7969_6E63  # "tabsyinc": of a PostgreSQL ledger, while one is opened


def incidents(workspace: Workspace) -> list[Incident]:
    """All that are known here, the newest first, with what only the emergency journal has."""
    ledger = workspace.record()
    rows: list[Facts] = []
    with suppress(NotRecorded):  # then what the journal has is all there is
        rows = ledger.read("incident_entries", limit=_MOST)
    return incidents_of([entry_of(one) for one in [*rows, *_in_journal(ledger)]])


def open_incident(workspace: Workspace) -> Incident | None:
    """The one that hurts the database that is looked after; the oldest, should there be two."""
    mine = [one for one in incidents(workspace) if one.hurts and one.subject == place(workspace.conninfo)]
    return mine[-1] if mine else None


def incident_named(workspace: Workspace, name: str) -> Incident:
    """The incident of an id or of its beginning; "": of this database the one that is open, else the newest.

    Raises BadUsage when there is none.
    """
    found = incidents(workspace)
    if not name:
        mine = [one for one in found if one.subject == place(workspace.conninfo)]
        current = open_incident(workspace) or (mine[0] if mine else None)
        if current is None:
            raise BadUsage("there is no incident", 'to open one: tabsync incident open "WHAT IS WRONG"')
        return current
    mine = [one for one in found if one.id.startswith(name)]
    if len(mine) != 1:
        fact = f"there is no incident {name!r}" if not mine else f"{len(mine)} incidents begin with {name!r}"
        raise BadUsage(fact, "to list them: tabsync incident list")
    return mine[0]


def add(workspace: Workspace, incident: str, kind: Kind, text: str = "", **facts: object) -> Entry:
    """Write an entry down, in the name of whoever uses this workspace."""
    entry = Entry(incident, now(), kind, workspace.journal_actor(), line_of(text), facts)
    workspace.record().write("", entries.said(TABLE, entry.to_row()))
    return entry


def begin(workspace: Workspace, title: str, severity: str, facts: Facts) -> tuple[str, bool]:
    """Open an incident, or join the one that is open: gives its id, and whether it is new.

    facts: the alert and the run that it is opened for. Whoever opens one at the same moment joins it.
    """
    moment = now()
    new = f"{compact(moment)}-{secrets.token_hex(2)}"
    subject = place(workspace.conninfo)
    known = {"subject": subject, "severity": severity, "manual": workspace.manual_digest()} | facts
    entry = Entry(new, moment, Kind.OPENED, workspace.journal_actor(), line_of(title), known)
    ledger = workspace.record()
    try:
        _write_first(ledger, entry, subject)
        other = ""
    except _Joined as found:
        other = str(found)
    except NotRecorded:  # nobody can be kept from opening another one: both are shown
        current = open_incident(workspace)
        other = current.id if current else ""
        if not other:
            ledger.write("", entries.said(TABLE, entry.to_row()))
    if not other:
        return new, True
    joined = Kind.JOINED if facts.get("alert") else Kind.RUN if facts.get("run") else Kind.NOTE
    if joined is not Kind.NOTE:
        add(workspace, other, joined, title, **facts)
    return other, False


class _Joined(Exception):
    """One is open already: its id."""


def _write_first(ledger: Ledger, entry: Entry, subject: str) -> None:
    """Write the first entry. Raises _Joined when one of the same database is open; NotRecorded."""
    from sqlalchemy import insert, select, text

    from tabsync.ledger.tables import incident_entry as table

    with ledger.writing() as connection:
        if not ledger.is_sqlite:
            connection.execute(text("select pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        connection.execute(insert(table).values(**entry.to_row()))  # from here on nobody else writes an SQLite ledger
        rows = connection.execute(select(table).order_by(table.c.id)).mappings().all()
        current = [one for one in incidents_of([entry_of(dict(row)) for row in rows]) if one.hurts]
        mine = [one.id for one in current if one.subject == subject and one.id != entry.incident]
        if mine:
            raise _Joined(mine[-1])


def _in_journal(ledger: Ledger) -> Iterator[Facts]:
    for kept in ledger.emergency.runs().values():
        for entry in kept.entries:
            if entry.get("do") == "say" and entry.get("table") == TABLE:
                yield entry["row"]


def line_of(text: str) -> str:
    """What somebody said as it is kept: one line, without cards and keys that were pasted along."""
    return without_cards(without_secrets(in_one_line(text)))[:LONGEST]


def since_of(incident: Incident) -> datetime:
    """From when on what happened belongs to it: since its first alert began, or it was opened."""
    began = [str(one) for one in (incident.facts.get("began_at"),) if one]
    return min([incident.opened_at, *(datetime.fromisoformat(one) for one in began)])
