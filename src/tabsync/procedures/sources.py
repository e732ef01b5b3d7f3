"""What a metric with `Source:` says instead of a query, and `Of: disk` instead of a size: what tabsync knows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import psycopg

from tabsync.backups.provider import project_of
from tabsync.backups.recoverable import SOURCE, recoverable_to
from tabsync.kernel.clock import age, iso, now
from tabsync.kernel.errors import BadUsage, NotAllowed, TabsyncError, words_of
from tabsync.kernel.step import Facts
from tabsync.manual.model import Manual, Metric
from tabsync.monitoring.measure import Limit, Reading, own_reading
from tabsync.monitoring.status import Contributor
from tabsync.monitoring.unknown import Kind, kind_of
from tabsync.postgres.settings import Limits
from tabsync.procedures.at_supabase import AtSupabase

if TYPE_CHECKING:
    from tabsync.monitoring.collect.session import Watching
    from tabsync.providers.supabase_metrics import Used
    from tabsync.workspace import Workspace

_LIMITS = Limits(lock_timeout=50, statement_timeout=5_000)
_CPU = "cpu"

COLLECTOR = "collector"
"""The share of the server's time that the collector itself takes."""


class Beside:
    """What is beside a database: its disk, its machine, its pooler. Kept by whoever looks more than once.

    session: the one that whoever looks has open, None where there is none: at the limit of connections there is no
    other one to be had.
    """

    def __init__(self, workspace: Workspace, session: Callable[[], Watching | None] = lambda: None) -> None:
        self.workspace = workspace
        self.session = session
        self._provider: AtSupabase | None = None

    def of(self, source: str) -> Facts:
        """A source of the manual: value, of, note, command. Unknown where it can't be asked, with reason and kind."""
        try:
            found = _ASK[source](self)
        except (TabsyncError, psycopg.Error) as error:
            return {"value": None, "of": None, "note": _told(error), "command": "", "kind": _kind(error)}
        return {"value": found.value, "of": found.of, "note": found.note, "command": ""}

    def limits(self, metrics: Iterable[Metric]) -> dict[str, Limit]:
        """What `Of:` names in some metrics instead of a quantity."""
        found = {}
        for source in {one.of_source for one in metrics if one.of_source}:
            known = self.of(source)
            found[source] = Limit(known["of"], known["note"], known.get("kind", ""))
        return found

    def disk(self) -> Used:
        """The disk of the server's data: the provider's, or that of this machine if the server is here."""
        from tabsync.providers.disk import WHERE, disk_at, disk_of
        from tabsync.providers.supabase_metrics import Used

        if (provider := self.provider()) is not None:
            return provider.machine().disk()
        session = self.session()
        if session is not None and not session.lost:
            (row,) = session.rows(WHERE)
            found = disk_at(row["pid"], row["backend_start"], row["directory"])
        else:
            with self.workspace.connect("disk", _LIMITS) as connection:
                found = disk_of(connection)
        return Used(found.used, found.size, f"of {found.path}")

    def pooler(self) -> tuple[Used, Used]:
        """The clients that wait for a connection, and how long: by PgBouncer's console where it is named."""
        from tabsync.providers.pgbouncer import waiting
        from tabsync.providers.supabase_metrics import Used

        if self.workspace.pgbouncer:
            found = waiting(self.workspace.pgbouncer)
            note = f"the pool {found.pool}" if found.pool else ""
            return Used(found.clients, None, note), Used(found.seconds, None, note)
        if (provider := self.provider()) is not None:
            return provider.machine().waiting(), provider.machine().wait()
        raise BadUsage("tabsync.toml doesn't say where PgBouncer's console is", "set url in [pgbouncer]")

    def provider(self) -> AtSupabase | None:
        """The provider's own figures; None where nobody runs the server for us. Raises BadUsage, NotAllowed."""
        if self._provider is None and (project := project_of(self.workspace)) is not None:
            self._provider = AtSupabase(project, self.workspace.metrics_key)
        return self._provider

    def at_provider(self) -> AtSupabase:
        """The same, where nothing else could tell."""
        found = self.provider()
        if found is None:
            raise NotAllowed("only Supabase says this of its machines", "remove the metric from the manual")
        return found


_ASK: Mapping[str, Callable[[Beside], Used]] = {
    "disk": lambda beside: beside.disk(),
    _CPU: lambda beside: beside.at_provider().cpu(),
    "memory": lambda beside: beside.at_provider().machine().memory(),
    "pooler clients": lambda beside: beside.at_provider().machine().clients(),
    "pooler clients waiting": lambda beside: beside.pooler()[0],
    "pooler wait": lambda beside: beside.pooler()[1],
}


def known_to_us(
    beside: Beside, manual: Manual, metrics: Sequence[Metric], subject: str, more: Mapping[str, Facts] | None = None
) -> list[Reading]:
    """The metrics that have no query, as chapters and providers know them.

    subject: of which database; more: what whoever asks knows already, by source.
    """
    known: dict[str, Facts] = dict(more or {})
    workspace = beside.workspace
    for source in {one.source for one in metrics if one.source} - known.keys():
        if source == SOURCE:
            known[source] = recoverable_to(workspace, manual, workspace.ledger(), subject)
        elif source in _ASK:
            known[source] = beside.of(source)
    found = [one for one in metrics if one.source]
    return [own_reading(one, manual.thresholds_of(one.title), known.get(one.source), now()) for one in found]


def contribute_to(beside: Beside) -> Contributor:
    """What puts the values of these metrics to those of the status."""

    def contribute(workspace: Workspace, manual: Manual, facts: Facts) -> list[Facts]:
        sources = {one.source for one in manual.metrics}
        for source in sources & _ASK.keys():
            facts["known"][source] = (source == _CPU and _kept(workspace, manual, source)) or beside.of(source)
        if COLLECTOR in sources:
            facts["known"][COLLECTOR] = _kept(workspace, manual, COLLECTOR) or _nobody_collects(workspace)
        return []

    return contribute


def _nobody_collects(workspace: Workspace) -> Facts:
    """Where nobody has ever measured, that takes nothing; where somebody has and now doesn't, nothing is known."""
    from tabsync.monitoring.alerts.watch import last_scrape

    told: Facts = {"value": None, "of": 100.0, "note": "the collector has not measured it lately", "command": ""}
    try:
        return told if last_scrape(workspace) is not None else told | {"value": 0.0, "note": "nobody collects here"}
    except TabsyncError as error:
        return told | {"note": error.fact}


def _kept(workspace: Workspace, manual: Manual, source: str) -> Facts | None:
    """What the collector measured last of what a single look can't tell; None when that isn't of now."""
    from tabsync.monitoring.history.place import history_of
    from tabsync.monitoring.history.standing import Kept, standings

    try:
        with history_of(workspace) as history:
            found = [one for one in standings(manual, Kept.of(history), now()) if one.metric.source == source]
    except TabsyncError:
        return None
    for one in found:
        if one.worst is not None and one.worst.value is not None and one.at is not None and not one.why:
            note = f"measured {age(iso(one.at))}"
            return {"value": one.worst.value, "of": one.worst.of, "note": note, "command": ""}
    return None


def _told(error: TabsyncError | psycopg.Error) -> str:
    if isinstance(error, psycopg.Error):
        return words_of(error)
    return f"{error.fact}; {error.hint}" if isinstance(error, NotAllowed | BadUsage) and error.hint else error.fact


def _kind(error: TabsyncError | psycopg.Error) -> Kind:
    return "declare" if isinstance(error, BadUsage) else kind_of(error)
