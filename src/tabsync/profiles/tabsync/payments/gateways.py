"""tabsync payments gateways: what the gateways say of themselves, as evidence beside our own rate."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from tabsync.kernel.clock import iso, now
from tabsync.kernel.errors import Exit, TabsyncError
from tabsync.kernel.page import Page
from tabsync.kernel.step import Facts
from tabsync.kernel.units import human_seconds
from tabsync.profiles.tabsync.payments.settings import STRIPE_STATUS
from tabsync.profiles.tabsync.payments.status_page import INDICATORS, Status, read_status

if TYPE_CHECKING:
    from tabsync.workspace import Workspace

_PAGES = {"stripe": "https://www.stripestatus.com", "mercadopago": "https://status.mercadopago.com"}
"""Where a person looks."""

_CLOCKS_DIFFER = 60.0  # seconds by which two clocks that are kept right may differ


@dataclass(frozen=True, slots=True)
class Answered:
    """What a gateway's page said. status: None where it is unknown; why: then; by_hand: there is nothing to ask."""

    gateway: str
    status: Status | None
    why: str = ""
    by_hand: bool = False

    def to_json(self, at: datetime) -> Facts:
        """It for programs."""
        told: Facts = {"gateway": self.gateway, "page": _PAGES[self.gateway], "by_hand": self.by_hand}
        if self.status is None:
            return told | {"state": "by hand" if self.by_hand else "unknown", "why": self.why}
        one = self.status
        return told | {
            "state": "trouble" if one.is_trouble else "nothing reported",
            "indicator": one.indicator,
            "page_changed": iso(one.updated) if one.updated else None,
            "page_age_seconds": round((at - one.updated).total_seconds()) if one.updated else None,
            "components": [{"name": name, "state": state} for name, state in one.components],
            "incidents": [
                {
                    "name": each.name,
                    "state": each.state,
                    "since": iso(each.since) if each.since else None,
                    "updated": iso(each.updated) if each.updated else None,
                }
                for each in one.incidents
            ],
        }


def look_gateways(workspace: Workspace, _request: object) -> Page:
    """What each gateway's page says. Exit code 1: trouble is reported; 6: a page that can be read could not be."""
    at = now()
    found = [_stripe(workspace, at), Answered("mercadopago", None, "its page has no documented API", by_hand=True)]
    trouble = [one for one in found if one.status and one.status.is_trouble]
    unknown = [one for one in found if one.status is None and not one.by_hand]
    code = Exit.PROBLEM_FOUND if trouble else Exit.UNKNOWN if unknown else Exit.DONE
    page = Page("payments gateways", {"at": iso(at), "gateways": [one.to_json(at) for one in found]}, exit_code=code)
    for one in found:
        _show(page, one, at)
    page.note(
        "people write these pages, 15 to 30 minutes late, and not of all; what decides is our own rate: "
        "tabsync payments failures"
    )
    return page


def stripe_url(workspace: Workspace) -> str:
    """Where Stripe's status is read."""
    return workspace.profile_settings.get(STRIPE_STATUS.name, STRIPE_STATUS.default)


def _stripe(workspace: Workspace, at: datetime) -> Answered:
    try:
        return Answered("stripe", read_status(stripe_url(workspace), at))
    except TabsyncError as error:
        return Answered("stripe", None, error.fact)


def _show(page: Page, one: Answered, at: datetime) -> None:
    link = _PAGES[one.gateway]
    if one.by_hand:
        page.line(f"{one.gateway}: a person looks: {link}", f" ({one.why})")
        return
    if one.status is None:
        page.line((f"{one.gateway}: unknown", "strong warning"), f": {one.why}")
        page.line(f"  a person looks: {link}", style="quiet")
        return
    style = "strong bad" if one.status.is_trouble else "strong"
    age = f"; its page changed {_ago(one.status.updated, at)}" if one.status.updated else ""
    told = "trouble is reported" if one.status.indicator == "none" else INDICATORS[one.status.indicator]
    told = told if one.status.is_trouble else INDICATORS["none"]
    page.line((f"{one.gateway}: {told}", style), age)  # type: ignore[arg-type]
    for each in one.status.incidents:
        since = f", since {_ago(each.since, at)}" if each.since else ""
        page.line(f"  {each.name}: {each.state}{since}")
    for name, state in one.status.components:
        page.line(f"  {name}: {state}")


def _ago(moment: datetime | None, at: datetime) -> str:
    if moment is None:
        return "at an unknown time"
    seconds = (at - moment).total_seconds()
    if seconds < -_CLOCKS_DIFFER:
        return "in the future, by its clock"
    return f"{human_seconds(max(0.0, seconds))} ago"
