"""The table of contacts: whom to call, and what a machine tells them."""

from __future__ import annotations

import re
from typing import get_args

from tabsync.manual.people import HOURS_EXPECTED, Contact, Severity, parse_hours
from tabsync.manual.sections import Problem, Section
from tabsync.manual.tables import duration_in, names_in, records
from tabsync.manual.thresholds import NO_BOUND

_ADDRESS = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+|https?://\S+|\+?[\d][\d\s().-]{5,}")


def contacts(section: Section, problems: list[Problem]) -> tuple[Contact, ...]:
    """The contacts. One that isn't `Told of` anything is told nothing by a machine."""
    people = []
    columns = ("Role", "Contact", "Availability")
    for line, row in records(section, columns, problems, ("Order", "After", "Told of", "By")):
        if not _ADDRESS.search(row["contact"]):
            what = f"the contact {row['role']!r} has no address"
            problems.append(Problem(line, what, "an e-mail address, a telephone number or a link"))
        told_of = _told_of(row, line, problems)
        hours = None
        try:
            hours = parse_hours(row["availability"])
        except ValueError as error:
            if told_of:
                problems.append(Problem(line, str(error), HOURS_EXPECTED))
        people.append(
            Contact(
                role=row["role"],
                address=row["contact"],
                availability=row["availability"],
                line=line,
                hours=hours,
                order=_order(row["order"], line, problems),
                after=None if row["after"].lower() in NO_BOUND else duration_in(_minutes(row["after"]), line, problems),
                told_of=told_of,
                by="" if row["by"].lower() in NO_BOUND else row["by"],
            )
        )
    return tuple(people)


def _told_of(row: dict[str, str], line: int, problems: list[Problem]) -> tuple[Severity, ...]:
    said = [] if row["told of"].lower() in NO_BOUND else [one.lower() for one in names_in(row["told of"])]
    if unknown := [one for one in said if one not in get_args(Severity)]:
        what = f"{row['role']!r} is told of {', '.join(unknown)}"
        problems.append(Problem(line, what, "critical, warning, both with a comma, or none"))
    return tuple(one for one in get_args(Severity) if one in said)


def _order(text: str, line: int, problems: list[Problem]) -> int:
    if text.lower() in NO_BOUND:
        return 1
    if not text.isdecimal() or not 1 <= int(text) <= 99:
        problems.append(Problem(line, f"the order is {text!r}", "a number from 1: who is told first"))
        return 1
    return int(text)


def _minutes(text: str) -> str:
    """A duration; a number alone is minutes."""
    return f"{text} minutes" if text.isdecimal() else text
