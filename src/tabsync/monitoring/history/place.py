"""The history of a workspace."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tabsync.kernel.units import parse_bytes
from tabsync.monitoring.history.file import NAME
from tabsync.monitoring.history.history import History

if TYPE_CHECKING:
    from tabsync.workspace import Workspace


def history_of(workspace: Workspace, *, create: bool = False) -> History:
    """The history of a workspace, to be closed by whoever opens it. create: to write it, which only a collector does.

    Raises as History.open() does.
    """
    return History.open(workspace.home / NAME, create=create, max_size=parse_bytes(workspace.history_size))
