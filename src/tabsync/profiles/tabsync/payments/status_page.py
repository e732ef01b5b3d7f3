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
    answered: datetime | None

    @property
    def is_trouble(self) -> bool:
        """Whether anything is reported: an open incident counts, whatever the indicator says."""
        return self.indicator != "none" or bool(self.incidents) or bool(self.components)


def read_status(url: str, at: datetime) -> Status:
    """Read a page. at: our own time. Raises CannotConnect for one that can't be read, or trusted; BadUsage for the url.

    No redirect is followed: an answer from elsewhere says nothing of the gateway.
    """
    parts = urlsplit(url)
    if not (parts.hostname and (parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK))):
        raise BadUsage(
            "the address of the status page is neither https nor loopback", "anybody could answer: use https"
        )
    answer = fetch(url, None, seconds=_SECONDS, most=_MOST, accept="application/json")
    place = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
    check_fresh(answer, place, at)
    if answer.kind != "application/json":
        raise CannotConnect(f"{place} answered {answer.kind or 'something'}, not JSON", "open the page in a browser")
    try:
        return _status(json.loads(answer.body), moment_of(answer.date))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise CannotConnect(f"the answer of {place} is not as documented", "open the page in a browser") from None


def check_fresh(answer: Fetched, place: str, at: datetime) -> None:
    """See that an answer is one, and of now. Raises CannotConnect.

    Age: https://www.rfc-editor.org/rfc/rfc9111#field.age
    """
    if 300 <= answer.status < 400:
        raise CannotConnect(f"{place} redirects elsewhere, which is not followed", "correct its address")
    if answer.status != 200:
        raise CannotConnect(f"{place} answered {answer.status}", "open the page in a browser")
    kept = float(answer.age) if answer.age.isdecimal() else 0.0
    if kept > _STALE.total_seconds():
        raise CannotConnect(f"the answer of {place} is {human_seconds(kept)} old: a copy", "open the page in a browser")
    answered = moment_of(answer.date)
    if answered is not None and abs(at - answered) > _STALE:
        told = human_seconds(abs((at - answered).total_seconds()))
        raise CannotConnect(
            f"the answer of {place} is from another time, {told} from now: a copy, or this machine's clock is wrong",
            "check the clock",
        )


def moment_of(date: str) -> datetime | None:
    """The time of a Date header. https://www.rfc-editor.org/rfc/rfc9110#field.date"""
    try:
        found = parsedate_to_datetime(date)
    except (ValueError, TypeError):
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _status(document: Any, answered: datetime | None) -> Status:
    """The summary. Raises one of the errors of Python for what is not as documented."""
    indicator = document["status"]["indicator"]
    if indicator not in INDICATORS:
        raise ValueError(indicator)
    open_ones = [one for one in document["incidents"] if one["status"] not in ("resolved", "postmortem", "completed")]
    parts = [(one["name"], one["status"]) for one in document["components"] if not one.get("group")]
    troubled = tuple((_text(name), state.replace("_", " ")) for name, state in parts if state in _TROUBLE)
    incidents = tuple(map(_incident, open_ones[:_SOME]))
    return Status(indicator, incidents, troubled[:_SOME], _time(document["page"].get("updated_at")), answered)


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
    """A time. Raises ValueError for a text that is none."""
    if not value:
        return None
    found = datetime.fromisoformat(value)
    return found if found.tzinfo else found.replace(tzinfo=UTC)
