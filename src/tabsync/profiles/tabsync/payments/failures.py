"""tabsync payments failures: what failed, grouped, and whether that is more than usual. Card data is nowhere in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

from tabsync.kernel.clock import iso
from tabsync.kernel.errors import BadUsage, TabsyncError
from tabsync.kernel.page import Page
from tabsync.kernel.request import Option
from tabsync.kernel.units import human_seconds
from tabsync.manual.load import load
from tabsync.manual.model import Threshold
from tabsync.profiles.tabsync.payments.groups import grouped
from tabsync.profiles.tabsync.payments.look import Asked, look
from tabsync.profiles.tabsync.payments.safe import without_digits
from tabsync.profiles.tabsync.payments.seen import GATEWAYS, OTHER, Seen
from tabsync.profiles.tabsync.payments.show_failures import page_of
from tabsync.profiles.tabsync.payments.tallies import tally, usual
from tabsync.profiles.tabsync.payments.verdict import Judged, judged
from tabsync.profiles.tabsync.payments.windows import STUCK, length

if TYPE_CHECKING:
    from tabsync.workspace import Workspace

METRIC = "Failed payments"
"""Whose bounds decide where nothing is known of what is usual."""

_LISTED = 200


@dataclass(frozen=True, slots=True)
class Failures:
    """What one may ask of payments failures."""

    since: Annotated[str, Option("How far back: from 5 min to 24 h.", metavar="DURATION")] = "1h"
    gateway: Annotated[str, Option("Only this gateway: stripe or mercadopago.")] = ""
    restaurant: Annotated[str, Option("Only this restaurant, by its id, its slug or its name.")] = ""


def look_failures(workspace: Workspace, request: Failures) -> Page:
    """What failed, and the verdict. Exit code 1: worse than usual; 6: unknown. Raises BadUsage, CannotConnect."""
    span = length(request.since)
    if request.gateway and request.gateway not in GATEWAYS:
        raise BadUsage(f"there is no gateway {without_digits(request.gateway)}", f"there are {' and '.join(GATEWAYS)}")
    if "\0" in request.restaurant:  # no text of PostgreSQL can hold it
        shown = without_digits(request.restaurant)
        raise BadUsage(f"there is no restaurant {shown}", "name it by its id, its slug or its name")
    seen = look(workspace, Asked(span, request.gateway, request.restaurant))
    bounds = _bounds(workspace, seen)
    parts = judgements(seen, request.gateway, span, bounds)
    groups = grouped(seen.failed or ())
    newest = max((one.latest for one in seen.now or ()), default=seen.at)
    return page_of(
        parts,
        groups,
        seen,
        {
            "since": iso(seen.at - span),
            "at": iso(seen.at),
            "span": human_seconds(span.total_seconds()),
            "clock_ahead_seconds": round(seen.ahead, 1),
            "writers_ahead_seconds": round(max(0.0, (newest - seen.at).total_seconds()), 1),
            "pending_too_long_seconds": STUCK.total_seconds(),
            "listed": _LISTED,
        },
    )


def judgements(seen: Seen, gateway: str, span: timedelta, bounds: Sequence[Threshold]) -> list[Judged]:
    """The verdict on all together, where several are meant, then on each that is in use. [] when nothing was read."""
    if seen.now is None:
        return []
    there = {one.gateway for counts in (seen.now, *seen.days) for one in counts or () if one.gateway}
    # One that nobody used at this time of the week is not in use; where none was, each is unknown.
    names = [gateway] if gateway else ["", *(one for one in (*GATEWAYS, OTHER) if one in there or not there)]
    weeks = {name: usual(seen.days, name, seen.at, seen.zone) for name in names}
    return [judged(name, tally(seen.now, name), weeks[name], seen.failed, bounds, seen.at, span) for name in names]


def _bounds(workspace: Workspace, seen: Seen) -> Sequence[Threshold]:
    """The manual's. A manual that can't be read is no reason to say nothing."""
    try:
        return load(workspace.manual_path).thresholds_of(METRIC)
    except TabsyncError as error:
        seen.why.append(f"the manual's bounds: {without_digits(error.fact)}")
        return ()
