"""The health check; what it finds out about whom to call is kept for the day on which the database is gone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tabsync.incidents.known import remember
from tabsync.manual.load import load
from tabsync.monitoring.shown import Health
from tabsync.monitoring.shown import look_health as look_at

if TYPE_CHECKING:
    from tabsync.kernel.page import Page
    from tabsync.workspace import Workspace


def look_health(workspace: Workspace, request: Health) -> Page:
    """Whether the database answers and the manual's key tables can be read."""
    page = look_at(workspace, request)
    if page.data.get("checks") and page.data["checks"][0]["ok"]:
        remember(workspace, load(workspace.manual_path))
    return page
