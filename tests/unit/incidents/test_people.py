"""Whom to call next: by order and by the hour, and never a supplier."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tabsync.incidents.known import top_roles
from tabsync.incidents.people import is_supplier, region_in, staff
from tabsync.manual.model import Hierarchy, Role
from tabsync.manual.people import Contact, Severity, parse_hours

NIGHT = datetime(2026, 12, 1, 22, 0, tzinfo=UTC)


def contact(role: str, when: str, order: int, *, told: bool = True) -> Contact:
    hours = parse_hours(when)
    of: tuple[Severity, ...] = ("critical",) if told else ()
    return Contact(
        role=role, address=f"{role}@example.org", availability=when, line=1, hours=hours, order=order, told_of=of
    )


CONTACTS = (
    contact("boss", "On-call", 3),
    contact("office", "Mon-Fri 09:00-18:00 UTC", 2),
    contact("admin", "24/7", 1),
    contact("supplier", "24/7", 1, told=False),
)


@pytest.mark.parametrize(
    ("told", "following"),
    [({}, "admin"), ({"admin": "2026"}, "boss"), ({"admin": "2026", "boss": "2026"}, "admin")],
)
def test_the_next_is_who_is_there_and_was_not_told(told: dict[str, str], following: str) -> None:
    found, person = staff(CONTACTS, told, NIGHT, UTC)
    assert [one.role for one in found] == ["admin", "office", "boss"]
    assert [one.there for one in found] == [True, False, True]
    assert person is not None
    assert person.role == following


def test_where_a_machine_tells_nobody_all_are_ours() -> None:
    alone = (contact("dba", "24/7", 1, told=False),)
    assert not is_supplier(alone[0], alone)
    assert is_supplier(CONTACTS[3], CONTACTS)
    assert staff((), {}, NIGHT + timedelta(hours=1), UTC) == ([], None)


def test_the_roles_above_which_there_is_none() -> None:
    roles = [Role(name=name, parent=parent, note="", line=1) for name, parent in (("A", None), ("B", "A"), ("C", None))]
    assert top_roles(Hierarchy(roles=tuple(roles))) == ["A", "C"]
    assert top_roles(Hierarchy()) == []


@pytest.mark.parametrize(
    ("host", "region"),
    [
        ("aws-0-sa-east-1.pooler.supabase.com", "sa-east-1"),
        ("shop.abc123.eu-central-1.rds.amazonaws.com", "eu-central-1"),
        ("db.abcdefghij.supabase.co", ""),
        ("127.0.0.1", ""),
    ],
)
def test_the_region_is_what_the_name_of_a_host_says(host: str, region: str) -> None:
    assert region_in(host) == region
