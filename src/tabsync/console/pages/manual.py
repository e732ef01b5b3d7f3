"""/manual: the manual as the program understands it, with what is measured now beside its rows.

The page itself never asks the database; the values come after it, so one that is down delays nothing.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from tabsync.console.base.access import Viewer
from tabsync.console.base.margin import Beside, late_classes, margin
from tabsync.console.base.render import page
from tabsync.console.base.state import Console, console_of
from tabsync.console.pages.status import WAIT
from tabsync.kernel.step import Facts
from tabsync.manual.load import read
from tabsync.manual.model import Manual
from tabsync.procedures import is_built
from tabsync.schedule.expected import Version
from tabsync.schedule.list import newest, overdue
from tabsync.schedule.look import look

router = APIRouter()


@router.get("/manual")
def show(
    request: Request, _: Viewer, console: Annotated[Console, Depends(console_of)], values: bool = False
) -> Response:
    """The manual. values: with its values at once, for browsers without JavaScript."""
    manual, problems = read(console.workspace.manual_path)
    context: Facts = {"manual": manual, "problems": problems, "name": console.workspace.manual_path.name}
    beside = _beside(console, manual) if values else {}
    return page(request, "manual.html", beside=beside, is_built=is_built, **context)


@router.get("/manual/values")
def values(request: Request, _: Viewer, console: Annotated[Console, Depends(console_of)]) -> Response:
    """The values alone, each to be put into its place in the page."""
    manual, _problems = read(console.workspace.manual_path)
    return page(request, "manual_values.html", beside=_beside(console, manual))


def _beside(console: Console, manual: Manual) -> dict[str, Beside]:
    from tabsync.backups.list import list_backups

    console.health.see(0)  # both looks run side by side; neither is waited for twice
    status = console.status.see(WAIT)
    health = console.health.see(0.3)
    backups, _damaged = list_backups(console.workspace)
    return margin(manual, status, health, backups, _late(console, manual))


def _late(console: Console, manual: Manual) -> dict[str, str]:
    """The classes of backups that are overdue; while nobody keeps the schedule, by today's manual."""
    seen = look(console.workspace)
    if not seen.versions:
        since = datetime(1970, 1, 1, tzinfo=UTC)
        seen = replace(seen, versions=[Version(since, manual.digest, tuple(item for item in seen.items))])
    return late_classes(overdue(newest(console.workspace, seen)), manual.retention)
