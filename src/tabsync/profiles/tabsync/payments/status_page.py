"""The status page of a gateway, as Atlassian Statuspage serves it: what its people have written, bounded and checked.

Stripe's is one; the format, of summary.json, is documented at https://www.stripestatus.com/api. It is evidence and no
verdict: people write it, some 15 to 30 minutes after something began, and not of all that happens.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

from tabsync.kernel.errors import BadUsage, CannotConnect
from tabsync.kernel.plain import in_one_line
from tabsync.kernel.step import Facts
from tabsync.kernel.units import human_seconds
from tabsync.providers.http import Fetched, fetch

_SECONDS = 8.0
_MOST = 1_000_000  # bytes
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_STALE = timedelta(minutes=15)
_SOME, _LONGEST = 8, 100

INDICATORS = {
    "none": "no trouble is reported",
    "minor": "minor trouble is reported",
    "major": "major trouble is reported",
    "critical": "critical trouble is reported",
    "maintenance": "maintenance is going on",
}
_TROUBLE = ("degraded_performance", "partial_outage", "major_outage", "under_maintenance")
_STATES = ("operational", *_TROUBLE)
_OLDEST = 2.0**31  # seconds; more counts as so much: https://www.rfc-editor.org/rfc/rfc9111#section-1.2.2


@dataclass(frozen=True, slots=True)
class Incident:
    """One that is open. since, updated: None where the page does not say it."""

    name: str
    state: str
    since: datetime | None
    updated: datetime | None


@dataclass(frozen=True, slots=True)
class Status:
    """What a page says. updated: when it was last changed; answered: the time by the gateway's clock."""

    indicator: str
    incidents: tuple[Incident, ...]
    components: tuple[tuple[str, str], ...]
    updated: datetime | None
    answered: datetime

    @property
    def is_trouble(self) -> bool:
        """Whether anything is reported: an open incident counts, whatever the indicator says."""
        return self.indicator != "none" or bool(self.incidents) or bool(self.components)


def read_status(url: str, at: datetime) -> Status:
    """Read a page. at: our own time. Raises CannotConnect for one that can't be read, or trusted; BadUsage for the url.

    No redirect is followed: an answer from elsewhere says nothing of the gateway.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        raise BadUsage("the address of the status page is none", "correct it in tabsync.toml") from None
    if "@" in parts.netloc:
        raise BadUsage("the address of the status page names a user: it would be shown", "name it without one")
    if not (parts.hostname and (parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK))):
        raise BadUsage(
            "the address of the status page is neither https nor loopback", "anybody could answer: use https"
        )
    answer = fetch(url, None, seconds=_SECONDS, most=_MOST, accept="application/json")
    place = f"{parts.scheme}://{parts.netloc}"
    answered = check_fresh(answer, place, at)
    if answer.kind != "application/json":
        raise CannotConnect(f"{place} answered {answer.kind or 'something'}, not JSON", "open the page in a browser")
    try:
        return _status(json.loads(answer.body), answered)
    except (ValueError, OverflowError, TypeError, KeyError, AttributeError, RecursionError):
        raise CannotConnect(f"the answer of {place} is not as documented", "open the page in a browser") from None


def check_fresh(answer: Fetched, place: str, at: datetime) -> datetime:
    """See that an answer is one, and of now; gives its time. Raises CannotConnect.

    Age: https://www.rfc-editor.org/rfc/rfc9111#field.age
    """
    if 300 <= answer.status < 400:
        raise CannotConnect(f"{place} redirects elsewhere, which is not followed", "correct its address")
    if answer.status != 200:
        raise CannotConnect(f"{place} answered {answer.status}", "open the page in a browser")
    kept = min(float(answer.age), _OLDEST) if answer.age.isdecimal() else 0.0
    if kept > _STALE.total_seconds():
        raise CannotConnect(f"the answer of {place} is {human_seconds(kept)} old: a copy", "open the page in a browser")
    answered = moment_of(answer.date)
    if answered is None:
        raise CannotConnect(f"the answer of {place} does not say of when it is", "open the page in a browser")
    if abs(at - answered) > _STALE:
        told = human_seconds(abs((at - answered).total_seconds()))
        raise CannotConnect(
            f"the answer of {place} is from another time, {told} from now: a copy, or this machine's clock is wrong",
            "check the clock",
        )
    return answered


def moment_of(date: str) -> datetime | None:
    """The time of a Date header, None for what is none. https://www.rfc-editor.org/rfc/rfc9110#field.date"""
    try:
        return _in_utc(parsedate_to_datetime(date))
    except (ValueError, TypeError, OverflowError):
        return None


def _status(document: Any, answered: datetime) -> Status:
    """The summary. Raises one of the errors of Python for what is not as documented."""
    indicator = document["status"]["indicator"]
    if indicator not in INDICATORS:
        raise ValueError(indicator)
    open_ones = [one for one in document["incidents"] if one["status"] not in ("resolved", "postmortem", "completed")]
    incidents = tuple(map(_incident, open_ones[:_SOME]))
    updated = _time(document["page"].get("updated_at"))
    return Status(indicator, incidents, _troubled(document["components"])[:_SOME], updated, answered)


def _troubled(components: Any) -> tuple[tuple[str, str], ...]:
    """Those in trouble; a group only where none of its parts is. Raises ValueError for a state that is none."""
    if any(one["status"] not in _STATES for one in components):
        raise ValueError(components)
    found = [one for one in components if one["status"] in _TROUBLE]
    told = {one.get("group_id") for one in found}
    return tuple(
        (_text(one["name"]), one["status"].replace("_", " "))
        for one in found
        if not (one.get("group") and one.get("id") in told - {None})
    )


def _incident(one: Facts) -> Incident:
    since = one.get("started_at") or one.get("created_at")
    return Incident(_text(one["name"]), _text(one["status"]), _time(since), _time(one.get("updated_at")))


def _text(value: Any) -> str:
    """A text of somebody else, as it is shown. Raises TypeError for what is none."""
    if not isinstance(value, str):
        raise TypeError(value)
    text = in_one_line(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def _time(value: Any) -> datetime | None:
    """A time. Raises ValueError for a text that is none, OverflowError for one beyond the calendar."""
    return _in_utc(datetime.fromisoformat(value)) if value else None


def _in_utc(found: datetime) -> datetime:
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
