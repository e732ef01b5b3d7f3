"""What a metric with `Source:` says instead of a query: what the chapters and providers know."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import psycopg

from tabsync.backups.recoverable import SOURCE, recoverable_to
from tabsync.kernel.clock import now
from tabsync.kernel.errors import TabsyncError, words_of
from tabsync.kernel.step import Facts
from tabsync.manual.model import Manual, Metric
from tabsync.monitoring.measure import Reading, own_reading
from tabsync.postgres.settings import Limits

if TYPE_CHECKING:
    from tabsync.workspace import Workspace

_LIMITS = Limits(lock_timeout=50, statement_timeout=5_000)


def known_to_us(workspace: Workspace, manual: Manual, metrics: Sequence[Metric], subject: str) -> list[Reading]:
    """The metrics that have no query, as chapters and providers know them. subject: of which database."""
    known: dict[str, Facts] = {}
    for source in {one.source for one in metrics if one.source}:
        if source == SOURCE:
            known[source] = recoverable_to(workspace, manual, workspace.ledger(), subject)
        else:
            known[source] = of_provider(workspace, source)
    found = [one for one in metrics if one.source]
    return [own_reading(one, manual.thresholds_of(one.title), known.get(one.source), now()) for one in found]


def of_provider(workspace: Workspace, source: str) -> Facts:
    """What is beside the database: its disk, its pooler. Unknown where it can't be asked, with the reason."""
    try:
        return {"value": None, "of": None, "note": "", "command": ""} | _ASK[source](workspace)
    except TabsyncError as error:
        return {"value": None, "of": None, "note": error.fact, "command": ""}
    except psycopg.Error as error:
        return {"value": None, "of": None, "note": words_of(error), "command": ""}


def _disk(workspace: Workspace) -> Facts:
    from tabsync.providers.disk import disk_of

    with workspace.connect("disk", _LIMITS) as connection:
        found = disk_of(connection)
    return {"value": found.used, "of": found.size, "note": f"of {found.path}"}


def _pooler(workspace: Workspace) -> tuple[int, float, str]:
    from tabsync.kernel.errors import BadUsage
    from tabsync.providers.pgbouncer import waiting

    if not workspace.pgbouncer:
        raise BadUsage("tabsync.toml doesn't say where PgBouncer's console is", "set url in [pgbouncer]")
    found = waiting(workspace.pgbouncer)
    return found.clients, found.seconds, f"the pool {found.pool}" if found.pool else ""


def _clients(workspace: Workspace) -> Facts:
    clients, _, note = _pooler(workspace)
    return {"value": clients, "note": note}


def _wait(workspace: Workspace) -> Facts:
    _, seconds, note = _pooler(workspace)
    return {"value": seconds, "note": note}


_ASK: dict[str, Callable[[Workspace], Facts]] = {
    "disk": _disk,
    "pooler clients waiting": _clients,
    "pooler wait": _wait,
}


def contribute(workspace: Workspace, manual: Manual, facts: Facts) -> list[Facts]:
    """Put the values of these metrics to those of the status."""
    for source in {one.source for one in manual.metrics} & _ASK.keys():
        facts["known"][source] = of_provider(workspace, source)
    return []
