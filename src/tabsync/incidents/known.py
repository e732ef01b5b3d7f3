"""What is known of a database when it is gone: who stands above all its users, and which server it was.

Addresses are personal data: of each database only the newest are kept, and nothing but `incident show` shows them.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import psycopg

from tabsync.kernel.clock import iso, now, parse_iso
from tabsync.kernel.errors import NotRecorded, TabsyncError
from tabsync.kernel.plain import in_one_line
from tabsync.postgres.conninfo import place
from tabsync.postgres.settings import Limits
from tabsync.users.wired import users

if TYPE_CHECKING:
    from tabsync.kernel.step import Facts
    from tabsync.manual.model import Hierarchy, Manual
    from tabsync.workspace import Workspace

KEPT = timedelta(days=90)
"""How long that of a database is kept which is looked after no more."""

_AGAIN = timedelta(hours=1)
_MOST = 40  # people who are kept
_LONGEST = 200  # characters of a name or an address
_LIMITS = Limits(lock_timeout=1_000, statement_timeout=5_000)


@dataclass(frozen=True, slots=True)
class Known:
    """What was known when it last answered. at: ISO; people: name, address and role of each; server: its version."""

    at: str
    people: tuple[Facts, ...]
    server: str


def top_roles(hierarchy: Hierarchy) -> list[str]:
    """The roles above which there is none."""
    names = hierarchy.names()
    return [one for one in names if not any(hierarchy.above(other, one) for other in names)]


def remember(workspace: Workspace, manual: Manual) -> None:
    """Keep what there is to know, instead of what was known before. Where that fails, what was known stays."""
    with suppress(TabsyncError, psycopg.Error, OSError):
        with workspace.connect("whom to call", _LIMITS) as connection:
            wiring, roles = manual.users, top_roles(manual.hierarchy) if manual.users else []
            found = [one for role in roles if wiring for one in users(connection, wiring, role=role)]
            server = str(connection.info.parameter_status("server_version") or "")
        people = [
            {"name": _line(one.name or ""), "address": _line(one.email), "role": one.role}
            for one in found
            if not one.off
        ][:_MOST]
        facts: Facts = {"people": people, "server": server}
        if not _is_known(workspace, facts):
            _write(workspace, facts)


def known(workspace: Workspace) -> Known | None:
    """What is known of the database that is looked after; None: it has never answered a health check, or who knows."""
    with suppress(NotRecorded):
        for row in workspace.record().read("last_known", subject=place(workspace.conninfo)):
            facts = row["facts"]
            return Known(str(row["at"]), tuple(facts.get("people", ())), str(facts.get("server", "")))
    return None


def _is_known(workspace: Workspace, facts: Facts) -> bool:
    """Whether just that was kept lately: a health check each minute need not write it each time."""
    row = next(iter(workspace.record().read("last_known", subject=place(workspace.conninfo))), None)
    return row is not None and row["facts"] == facts and now() - parse_iso(row["at"]) < _AGAIN


def _write(workspace: Workspace, facts: Facts) -> None:
    from sqlalchemy import delete, insert

    from tabsync.ledger.tables import last_known as table

    subject, moment = place(workspace.conninfo), now()
    with workspace.record().writing() as connection:
        connection.execute(delete(table).where((table.c.subject == subject) | (table.c.at < iso(moment - KEPT))))
        connection.execute(insert(table).values(subject=subject, at=iso(moment), facts=facts))


def _line(text: str) -> str:
    return in_one_line(text)[:_LONGEST]
