"""What the pages share: the workspace, the one collector, the worker, the login's throttle."""

from __future__ import annotations

from dataclasses import dataclass, field

from fastapi import Request

from tabsync.console.throttle import Throttle
from tabsync.console.watch import Watch
from tabsync.console.worker import Worker
from tabsync.kernel.step import Facts
from tabsync.ledger.open import Ledger
from tabsync.manual.load import read
from tabsync.monitoring.status import look
from tabsync.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Console:
    """One running console."""

    workspace: Workspace
    status: Watch
    worker: Worker
    throttle: Throttle = field(default_factory=Throttle)

    @property
    def ledger(self) -> Ledger:
        """The workspace's ledger."""
        return self.workspace.ledger()


def new_console(workspace: Workspace) -> Console:
    """A console for a workspace; the ledger is opened now, so that a problem with it shows before anybody logs in."""
    workspace.ledger()

    def look_now() -> Facts:
        manual, _ = read(workspace.manual_path)  # each time: the manual may be edited while we run
        return look(workspace, manual)

    return Console(workspace, Watch(look_now), Worker(workspace))


def console_of(request: Request) -> Console:
    """The console that a request came to."""
    found: Console = request.app.state.console
    return found
