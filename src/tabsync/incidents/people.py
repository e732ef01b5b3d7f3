"""Whom to call about an incident, in which order, and what to tell a supplier. Nobody is written to from here."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import TYPE_CHECKING

from tabsync.incidents.incident import Incident
from tabsync.incidents.known import Known, known
from tabsync.incidents.record import since_of
from tabsync.kernel.clock import iso, local, now
from tabsync.kernel.errors import NotRecorded
from tabsync.manual.people import Contact
from tabsync.postgres.conninfo import libpq_environment
from tabsync.providers.supabase import project_of
from tabsync.system.zone import machine_zone

if TYPE_CHECKING:
    from tabsync.incidents.timeline import Moment
    from tabsync.kernel.step import Facts
    from tabsync.manual.model import Manual
    from tabsync.workspace import Workspace

_REGION = re.compile(r"\b((?:[a-z]{2}|us-gov)-(?:north|south|east|west|central)[a-z]*-\d)\b")


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody to call. there: whether at this hour, None: nobody can say; told_at: when a message arrived, or ""."""

    role: str
    address: str
    when: str
    there: bool | None
    told_at: str

    def to_json(self) -> Facts:
        """They for programs."""
        return {name: getattr(self, name) for name in self.__slots__}


def is_supplier(one: Contact, contacts: Sequence[Contact]) -> bool:
    """Whether a contact is only called by people, while a machine tells others: somebody else's support."""
    return not one.told_of and any(each.told_of for each in contacts)


def staff(
    contacts: Sequence[Contact], told: Mapping[str, str], moment: datetime, here: tzinfo
) -> tuple[list[Person], Person | None]:
    """Our own people in the order in which they are called, and whom to call next; None: nobody is left.

    told: when a message arrived, by role. Next is who can be reached and was not told; those on call come last within
    an order. When all were told, it is the first of them again: by telephone.
    """
    ours = [one for one in contacts if not is_supplier(one, contacts)]
    ordered = sorted(ours, key=lambda one: (one.order, one.hours is not None and one.hours.kind == "on call"))
    found = [_person(one, told.get(one.role, ""), moment, here) for one in ordered]
    there = [one for one in found if one.there is not False]
    return found, next((one for one in there if not one.told_at), there[0] if there else None)


def _person(one: Contact, told_at: str, moment: datetime, here: tzinfo) -> Person:
    there = one.hours.reachable(moment, here) if one.hours else None
    return Person(one.role, one.address, one.availability, there, told_at)


def told_by_machine(workspace: Workspace, incident: Incident) -> dict[str, str]:
    """When each contact was last told of anything since an incident began; nothing while the ledger can't be read."""
    with suppress(NotRecorded):
        rows = workspace.record().read("deliveries_between", since=iso(since_of(incident)), until=iso(now()))
        return {row["contact"]: row["sent_at"] for row in rows}
    return {}


def call_next(workspace: Workspace, manual: Manual, incident: Incident) -> Person | None:
    """Whom to call next."""
    return staff(manual.contacts, told_by_machine(workspace, incident), now(), machine_zone())[1]


def people_of(workspace: Workspace, manual: Manual, incident: Incident, moments: Sequence[Moment]) -> Facts:
    """All of them, with addresses: our own people, who stands above all users, and suppliers with a text for them."""
    ours, following = staff(manual.contacts, told_by_machine(workspace, incident), now(), machine_zone())
    last = known(workspace)
    suppliers = [one for one in manual.contacts if is_supplier(one, manual.contacts)]
    return {
        "next": following.to_json() if following else None,
        "staff": [one.to_json() for one in ours],
        "above_all_users": list(last.people) if last else [],
        "known_at": last.at if last else None,
        "suppliers": [{"role": one.role, "address": one.address, "when": one.availability} for one in suppliers],
        "ticket": "\n".join(ticket(workspace, incident, moments, last)) if suppliers else None,
    }


def ticket(workspace: Workspace, incident: Incident, moments: Sequence[Moment], last: Known | None) -> Iterator[str]:
    """What to tell a supplier, in lines that can be pasted: which server, since when, what was seen; no person."""
    host = libpq_environment(workspace.conninfo).get("PGHOST", "")
    project = workspace.project or project_of(workspace.conninfo)
    yield f"{incident.title} ({incident.severity})"
    yield f"project: {project}" if project else f"database: {incident.subject}"
    yield f"region: {region_in(host) or 'unknown'}"
    yield f"server version: PostgreSQL {last.server}, as of {local(last.at)}" if last else "server version: unknown"
    yield f"since: {iso(since_of(incident))[:19]} UTC"
    seen = [f"{iso(one.at)[11:19]} {one.text}" for one in moments if one.kind == "alert"]
    yield "what was seen:"
    yield from (f"  {one}" for one in (seen[:10] or ["no alert: it was reported by a person"]))


def region_in(host: str) -> str:
    """The region that the name of a host has in it, such as "sa-east-1"; "" where it has none."""
    found = _REGION.search(host)
    return found[1] if found else ""
