"""The status, with what each chapter adds to it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tabsync.backups.watch import contribute as backups
from tabsync.bookkeeping.watch import contribute as ledger
from tabsync.incidents.watch import contribute as incidents
from tabsync.kernel.procedure import named
from tabsync.kernel.request import Option
from tabsync.manual.load import load
from tabsync.manual.model import Manual
from tabsync.monitoring.alerts.watch import contribute as alerts
from tabsync.monitoring.notify.watch import contribute as notifications
from tabsync.monitoring.shown import exit_code, page_of
from tabsync.monitoring.status import look as look_at
from tabsync.procedures.sources import Beside, contribute_to
from tabsync.sessions.watch import contribute as sessions

if TYPE_CHECKING:
    from tabsync.kernel.page import Page
    from tabsync.kernel.step import Facts
    from tabsync.workspace import Workspace


def _schedule(workspace: Workspace, manual: Manual, facts: Facts) -> list[Facts]:
    """The schedule stands above: it starts what is declared here."""
    found: list[Facts] = named("tabsync.schedule.watch:contribute")(workspace, manual, facts)
    return found


CONTRIBUTORS = (incidents, backups, _schedule, ledger, alerts, notifications, sessions)
"""Each chapter that has something to say of how things stand."""


def look(workspace: Workspace, manual: Manual) -> Facts:
    """Everything that the status shows; see monitoring.status.look."""
    beside = Beside(workspace)
    return look_at(
        workspace, manual, (*CONTRIBUTORS, contribute_to(beside)), lambda _, found: beside.limits(found.metrics)
    )


@dataclass(frozen=True, slots=True)
class Status:
    """What one may ask of status."""

    html: Annotated[Path | None, Option("Write it as one page, for when the console is down.", metavar="FILE")] = None


def look_status(workspace: Workspace, request: Status) -> Page:
    """Whether something is wrong, and what to do next."""
    facts = look(workspace, load(workspace.manual_path))
    page = page_of(facts)
    page.exit_code = exit_code(facts)
    if request.html is not None:
        from tabsync.workspace.html import write

        write(request.html, page, f"Status: {workspace.name or facts['database']['place']}")
        page.line(f"Written to {request.html}.", whole=True)
    return page
