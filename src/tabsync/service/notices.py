"""What the collector has people told that is no alert: weekly what is not visible here, daily the night's report."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from datetime import time as Clock
from typing import TYPE_CHECKING

import psycopg

from tabsync.kernel.clock import now
from tabsync.kernel.page import Line, Note, Page, Table
from tabsync.manual.model import Manual
from tabsync.monitoring.alerts.notices import HIDDEN, Notice, last_notice, write_notice
from tabsync.monitoring.alerts.rules import is_blind
from tabsync.monitoring.collect.granting import Unseen
from tabsync.monitoring.collect.session import Watching
from tabsync.monitoring.measure import Reading
from tabsync.postgres.conninfo import place
from tabsync.schedule.expected import expected
from tabsync.schedule.look import Look
from tabsync.schedule.report import report_of

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from tabsync.workspace import Workspace

LASTS = 600.0
"""Seconds for which something must not have been visible until anybody is told: a failover is no news of this kind."""

WEEK = timedelta(days=7)
_MORNING = Clock(7)  # when the night ends where no window says so
_LOOK = 60.0  # seconds between two looks at whether something is to be said
_ALL_TOLD = (
    "An alert on them can't fire. It is said once a week for as long as it is so, and needs no acknowledgement.",
    "to see them: tabsync metrics list",
)


@dataclass(slots=True)
class Notices:
    """Writes notices for a workspace. check: raises when this process may not write any more."""

    workspace: Workspace
    check: Callable[[Connection], None]
    _hidden: dict[str, tuple[float, str]] = field(default_factory=dict)
    _look_at: float = 0.0
    _nights: set[str] = field(default_factory=set)

    def see(self, readings: Sequence[Reading], before: Collection[str], labels: Collection[tuple[str, str]]) -> None:
        """Take in what is not visible. before, labels: see conditions(); what was measured before and isn't any more
        is an alert."""
        for one in readings:
            title = one.metric.lower()
            lost = any(each.value is None and (title, each.label) in labels for each in one.samples)
            if one.kind == "hidden" and not lost and not (is_blind(one) and title in before):
                since = self._hidden.get(one.metric, (time.monotonic(), ""))[0]
                self._hidden[one.metric] = (since, _why(one))
            else:
                self._hidden.pop(one.metric, None)

    def say_hidden(self, manual: Manual, session: Watching | None) -> None:
        """Write down what is not visible here, once a week. Raises for a ledger that can't be written."""
        moment = time.monotonic()
        if moment < self._look_at or session is None or session.lost:
            return
        self._look_at = moment + _LOOK
        subject = place(self.workspace.conninfo)  # a role that may see little may not see which cluster it is, either
        metrics = {one.title: one for one in manual.metrics}
        major = session.major
        found = [
            Unseen(title, why, metrics[title].sql_for(major))
            for title, (since, why) in self._hidden.items()
            if title in metrics and moment - since >= LASTS
        ]
        last = last_notice(self.workspace.ledger(), HIDDEN, subject)
        at = now()
        if not found or (last is not None and abs(at - last) < WEEK):
            return
        try:
            role, told = session.remedies(found)
        except psycopg.Error:
            return  # it is said when the server can be asked
        many = f"{len(found)} metrics" if len(found) != 1 else "1 metric"
        lines = [f"The role {role} can't see what they need, or this server doesn't have it: they are unknown."]
        for one in found:
            lines.append(f"{one.title}: {one.why}")
            lines += [f"to change it: {statement}" for statement in told[one.title]]
        text = f"NOT VISIBLE HERE: {many} of the manual"
        notice = Notice("hidden", subject, at.date(), at, text, (*lines, *_ALL_TOLD))
        write_notice(self.workspace.ledger(), notice, self.check)

    def say_night(self, seen: Look) -> None:
        """Write down the report of a night, once, when its last window has ended. Raises for a failing ledger."""
        local = seen.now.astimezone(seen.here)
        night = local.date().isoformat()
        if night in self._nights or not seen.versions or seen.now < night_ends(seen):
            return
        page = report_of(self.workspace, seen)
        if page.data["occurrences"] or page.data["overdue"]:
            headline, *lines = text_lines(page)
            notice = Notice("report", seen.subject, local.date(), seen.now, headline, tuple(lines))
            write_notice(self.workspace.ledger(), notice, self.check)
        self._nights = {night}


def night_ends(seen: Look) -> datetime:
    """When the night before this day's noon is over: at the end of its last window; at 7 where none ends by noon."""
    day = seen.now.astimezone(seen.here).date()
    noon = datetime.combine(day, Clock(12), seen.here)
    dues = expected(seen.versions, noon - timedelta(days=1), noon, seen.here)
    ends = [one.until for one in dues if one.until <= noon and one.item.words and not one.item.is_frequent]
    return max(ends, default=datetime.combine(day, _MORNING, seen.here))


def text_lines(page: Page) -> list[str]:
    """What a page shows as lines of text, its headline first."""
    lines = [page.headline]
    for block in page.blocks:
        if isinstance(block, Line) and block is not page.headline_block:
            lines.append(block.text)
        elif isinstance(block, Note):
            lines.append(f"{block.word}: {block.text}")
        elif isinstance(block, Table):
            cells = ([cell if isinstance(cell, str) else cell[0] for cell in row] for row in block.rows)
            lines += [": ".join(filter(None, row)) for row in cells]
    return [one for one in lines if one.strip()]


def _why(reading: Reading) -> str:
    return reading.error or next((one.why for one in reading.samples if one.why), "nobody could tell")
