"""What the pages share: the workspace, the collectors, the worker, the login's throttle."""

from __future__ import annotations

from dataclasses import dataclass, field

from anyio import CapacityLimiter
from fastapi import Request

from tabsync.backups.provider import provider_state
from tabsync.backups.wal.window import window
from tabsync.console.base.days import Days
from tabsync.console.base.guiding import Guides
from tabsync.console.base.throttle import Throttle
from tabsync.console.base.watch import Watch
from tabsync.console.base.worker import Worker
from tabsync.kernel.request import Nothing
from tabsync.kernel.step import Facts
from tabsync.ledger.open import Ledger
from tabsync.manual.load import read
from tabsync.migrations.status import Status, look_status
from tabsync.monitoring.health import check_health
from tabsync.procedures.status import look
from tabsync.schedule.report import Report, look_report
from tabsync.sessions.locks import look_locks
from tabsync.sessions.queries import Queries, look_queries
from tabsync.sessions.show import Show, look_show
from tabsync.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Console:
    """One running console."""

    workspace: Workspace
    status: Watch
    health: Watch
    worker: Worker
    guides: Guides
    windows: Watch
    report: Watch
    sessions: Watch
    migrations: Watch
    days: Days = field(default_factory=Days)
    throttle: Throttle = field(default_factory=Throttle)
    links: Throttle = field(default_factory=Throttle)
    """Of the links in messages: whoever opens many old ones keeps nobody from logging in."""
    hashing: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(2))
    """Passwords that are checked at the same time: each takes 64 MiB."""

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

    def check_now() -> Facts:
        manual, _ = read(workspace.manual_path)
        return check_health(workspace, manual)

    def see_windows() -> Facts:
        return {"provider": provider_state(workspace), "ours": window(workspace)}

    windows = Watch(see_windows, fresh=60.0)  # it asks others, who don't like to be asked often
    report = Watch(lambda: {"page": look_report(workspace, Report())}, fresh=15.0)
    sessions = Watch(lambda: _sessions(workspace), fresh=2.0)
    migrations = Watch(lambda: {"page": look_status(workspace, Status())})
    return Console(
        workspace,
        Watch(look_now),
        Watch(check_now),
        Worker(workspace),
        Guides(workspace),
        windows,
        report,
        sessions,
        migrations,
    )


def _sessions(workspace: Workspace) -> Facts:
    """Who is connected, what runs, and who waits for whom."""
    locks = look_locks(workspace, Nothing())
    connections, running = look_show(workspace, Show()), look_queries(workspace, Queries())
    return {"connections": connections.data, "queries": running.data, "locks_page": locks}


def console_of(request: Request) -> Console:
    """The console that a request came to."""
    found: Console = request.app.state.console
    return found
