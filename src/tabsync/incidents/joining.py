"""What the collector writes down of an incident that is open: critical alerts that fire meanwhile; who has it."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from tabsync.incidents.incident import Incident, Kind
from tabsync.incidents.record import add, incidents, open_incident
from tabsync.kernel.clock import iso
from tabsync.kernel.errors import NotRecorded
from tabsync.monitoring.alerts.episode import Episode

if TYPE_CHECKING:
    from tabsync.workspace import Workspace

KIND: Final = "incident"
"""The kind of the alerts by which people are told of an incident."""


def join(workspace: Workspace, episodes: Iterable[Episode]) -> None:
    """Let the critical alerts that fired since an incident was opened join it; a second look changes nothing.

    None opens one: that is for a person, or for the runbook that a person runs.
    """
    found = [one for one in episodes if one.level == "critical" and one.fired_at and one.key.kind != KIND]
    current = open_incident(workspace) if found else None
    for one in found:
        since = one.ended_at or one.seen_at
        if current is not None and not one.is_test and since >= current.opened_at and one.id not in current.alerts:
            text = f"{one.key.rule}, {one.key.label}" if one.key.label else one.key.rule
            add(workspace, current.id, Kind.JOINED, text, alert=one.id)


def acknowledge(workspace: Workspace, episodes: Iterable[Episode]) -> None:
    """Acknowledge the alerts of incidents that somebody has: who took one may have been killed just then."""
    mine = {one.key.rule for one in episodes if one.key.kind == KIND and one.acked_at is None}
    for one in incidents(workspace) if mine else ():
        if one.id in mine and one.has_it:
            acknowledged(workspace, one)


def acknowledged(workspace: Workspace, one: Incident) -> None:
    """Who takes care of an incident has acknowledged the alert that tells of it."""
    from sqlalchemy import update

    from tabsync.ledger.tables import episode

    taken = next((iso(each.at) for each in reversed(one.entries) if each.kind is Kind.ACK), None)
    mine = update(episode).where(episode.c.kind == KIND, episode.c.rule == one.id, episode.c.ended_at.is_(None))
    with suppress(NotRecorded), workspace.record().writing() as connection:
        connection.execute(mine.values(acked_at=taken, acked_by=one.has_it))
