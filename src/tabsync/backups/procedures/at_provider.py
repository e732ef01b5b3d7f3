"""tabsync backup provider: whether what the provider keeps of the database is as young as the manual says."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

from tabsync.backups.provider import provider_state
from tabsync.kernel.clock import age, now, parse_iso
from tabsync.kernel.errors import Exit
from tabsync.kernel.page import Page
from tabsync.kernel.request import Option
from tabsync.kernel.step import Facts
from tabsync.kernel.units import human_seconds
from tabsync.manual.load import read

if TYPE_CHECKING:
    from tabsync.workspace import Workspace

_SNAPSHOT = timedelta(hours=26)  # they are daily, and take their time
_RPO = timedelta(minutes=15)  # where the manual has none


@dataclass(frozen=True, slots=True)
class AtProvider:
    """What one may ask of backup provider."""

    region: Annotated[str, Option("Where the provider has to keep it; another region is a problem.")] = ""


def look_provider(workspace: Workspace, request: AtProvider) -> Page:
    """The newest snapshot, or how far point-in-time recovery reaches. Exit code 1: too old, 6: it can't be asked."""
    state = provider_state(workspace)
    page = Page("backup provider", {"provider": state})
    if state is None:
        page.line("Nobody keeps backups of this database for us, as far as can be seen.", style="warning")
        page.exit_code = Exit.UNKNOWN
        return page
    if state["problem"]:
        page.line((f"UNKNOWN: {state['problem']}", "strong warning"))
        page.hint(state["hint"])
        page.exit_code = Exit.UNKNOWN
        return page
    manual, _ = read(workspace.manual_path)
    allowed = manual.targets.rpo.value if manual.targets else _RPO
    problem = _too_old(state, allowed) or _elsewhere(state, request.region)
    page.data["problem"] = problem or None
    if problem:
        page.line((f"PROBLEM: {problem}", "strong bad"))
        page.exit_code = Exit.PROBLEM_FOUND
        return page
    page.line((f"GOOD: {_told(state)}, in {state['region'] or 'an unknown region'}", "strong good"))
    return page


def _too_old(state: Facts, allowed: timedelta) -> str:
    """What is too old; allowed: how far the end of the window may be behind."""
    if state["pitr"]:
        window = state["window"]
        if window is None:
            return "point-in-time recovery is on, and has no window yet"
        behind = now() - parse_iso(window["latest"])
        late = human_seconds(behind.total_seconds())
        bound = human_seconds(allowed.total_seconds())
        return f"its point-in-time recovery ends {late} ago, the RPO is {bound}" if behind > allowed else ""
    newest = _newest(state)
    if not newest:
        return "it has no complete snapshot"
    return f"its newest snapshot is of {age(newest)}" if now() - parse_iso(newest) > _SNAPSHOT else ""


def _newest(state: Facts) -> str:
    """When the newest complete snapshot was taken, or ""."""
    return max((one["at"] for one in state["snapshots"] if one["status"].upper() == "COMPLETED"), default="")


def _elsewhere(state: Facts, region: str) -> str:
    found = state["region"]
    return f"it is kept in {found or 'an unknown region'}, and not in {region}" if region and found != region else ""


def _told(state: Facts) -> str:
    if state["pitr"]:
        window = state["window"]
        return f"{state['provider']} can restore any moment until {age(window['latest'])}"
    return f"{state['provider']} has a snapshot of {age(_newest(state))}"
