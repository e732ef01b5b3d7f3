"""The months of the log: a partition each, by UTC."""

from __future__ import annotations

from datetime import UTC, datetime

AHEAD = 3
"""How many months after the current one have their partition."""
BEHIND, BEFORE = 23, 12
"""How many months before the current one, and after it, get one when there are entries of them: who may insert could
otherwise have one made for every month that there is, and each makes all reading slower."""


def first_of(moment: datetime, later: int = 0) -> datetime:
    """The first instant of a moment's month in UTC, or of one so many months later."""
    here = moment.astimezone(UTC)
    month = here.year * 12 + here.month - 1 + later
    return datetime(month // 12, month % 12 + 1, 1, tzinfo=UTC)


def near(moment: datetime) -> tuple[datetime, datetime]:
    """From where to where a month gets a partition of its own, as long as the default one has entries of it."""
    return first_of(moment, -BEHIND), first_of(moment, BEFORE + 1)


def written(moment: datetime) -> str:
    """A bound of a partition."""
    return moment.strftime("%Y-%m-%d %H:%M:%S+00")


def part_name(log: str, what: str) -> str:
    """The name of a partition: the log's, cut so that the ending fits into the 63 bytes of a name.

    https://www.postgresql.org/docs/current/sql-syntax-lexical.html#SQL-SYNTAX-IDENTIFIERS
    """
    room = 63 - len(what.encode()) - 1
    return f"{log.encode()[:room].decode('utf-8', 'ignore')}_{what}"


def months(since: datetime, until: datetime) -> list[tuple[datetime, datetime]]:
    """The months from one first day to another, each with its end."""
    found, one = [], since
    while one < until:
        found.append((one, first_of(one, 1)))
        one = first_of(one, 1)
    return found
