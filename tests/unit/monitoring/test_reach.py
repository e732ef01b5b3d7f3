"""When nobody would be told."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from tabsync.manual.people import Contact, parse_hours
from tabsync.monitoring.notify.reach import gaps

WEEK = datetime(2026, 11, 25, 12, tzinfo=UTC)


def contact(told_of: tuple[Any, ...], by: str = "mail", availability: str = "24/7") -> Contact:
    return Contact(
        role="A",
        address="a@example.org",
        availability=availability,
        line=1,
        hours=parse_hours(availability),
        told_of=told_of,
        by=by,
    )


def test_somebody_is_always_told() -> None:
    assert gaps([contact(("critical", "warning"))], ["mail"], WEEK, UTC) == []
    assert gaps([contact(("critical", "warning"))], None, WEEK, UTC) == []


def test_nobody_is_told_of_a_severity_that_no_contact_has() -> None:
    (told,) = gaps([contact(("critical",))], ["mail"], WEEK, UTC)
    assert told == "nobody is told of what is warning: no contact is 'Told of' it"
    assert len(gaps([contact(())], ["mail"], WEEK, UTC)) == 2


def test_a_channel_that_is_not_there_reaches_nobody() -> None:
    told = gaps([contact(("critical", "warning"), by="chat")], ["mail"], WEEK, UTC)
    assert all("no channel chat in [notify]" in one for one in told) and len(told) == 2
    both = [contact(("critical", "warning")), contact(("critical",), by="chat")]
    assert gaps(both, ["mail"], WEEK, UTC) == ["not everybody is told of what is critical: [notify] has no chat"]


def test_hours_leave_nights_in_which_a_warning_reaches_nobody() -> None:
    (told,) = gaps([contact(("critical", "warning"), availability="Mon-Fri 09:00-18:00 UTC")], ["mail"], WEEK, UTC)
    assert told == "nobody is told of what is warning in 123 hours of the week, such as Mon 00:00"
