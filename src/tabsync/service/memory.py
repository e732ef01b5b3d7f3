"""What the collector keeps of what it measured: the history, which may be full, and never stops an alert."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from tabsync.kernel.clock import now
from tabsync.kernel.errors import TabsyncError
from tabsync.monitoring.alerts.episode import Key, Seen
from tabsync.monitoring.collect.session import Around
from tabsync.monitoring.history.history import History
from tabsync.monitoring.history.logins import counted_before
from tabsync.monitoring.history.place import history_of
from tabsync.monitoring.history.readings import split
from tabsync.monitoring.measure import Reading

if TYPE_CHECKING:
    from tabsync.workspace import Workspace

HISTORY = Key("history", "History")
_TIDY = 300.0  # seconds between two times of folding in what is over
_LABELS = 100_000  # that are remembered: pids among them are new each time
_AGAIN = 30.0  # seconds until a file that could not be opened is tried again


@dataclass(slots=True)
class Memory:
    """The history of a workspace, written by its collector."""

    workspace: Workspace
    _history: History | None = None
    _measured: set[str] = field(default_factory=set)
    _labels: set[tuple[str, str]] = field(default_factory=set)
    _tidy_at: float = 0.0
    _open_at: float = 0.0
    _lost: int = 0
    _since: datetime | None = None

    def measured(self) -> set[str]:
        """The titles, in lower case, of the metrics that were ever measured here."""
        self._opened()
        return self._measured

    def labels(self) -> set[tuple[str, str]]:
        """Each with its label."""
        self._opened()
        return self._labels

    def keep(self, readings: Sequence[Reading]) -> Iterator[Seen]:
        """Keep what was measured; what can't be kept is lost, and that is a condition of its own."""
        if not readings:
            return
        seen = {(one.metric.lower(), row.label) for one in readings for row in one.samples if row.value is not None}
        self._measured |= {title for title, _ in seen}
        if len(self._labels) < _LABELS:
            self._labels |= seen
        kept, moment = split(readings), now()
        try:
            history = self._opened(must=True)
            if history is None:
                self._lost += 1
                return
            history.append(moment, kept.values, kept.ofs, kept.tried)
            if time.monotonic() >= self._tidy_at:
                self._tidy_at = time.monotonic() + _TIDY
                history.tidy(moment)
        except TabsyncError as error:
            self._lost += 1
            self._since = self._since or moment
            yield Seen(HISTORY, "warning", moment, facts=self._facts(error))
            return
        self._since, self._lost = None, 0
        yield Seen(HISTORY, None, moment)

    def unmeasured(self, titles: Sequence[str], why: str) -> None:
        """Keep that metrics could not be measured, since nobody could connect: what is kept is not of now any more."""
        with suppress(TabsyncError):
            history = self._opened()
            if history is not None and titles:
                history.append(now(), {}, tried=dict.fromkeys(titles, why))

    def around(self, found: Around) -> None:
        """Keep since when the server runs, and who is logged in; lost where the history can't be written."""
        with suppress(TabsyncError):
            history = self._opened()
            if history is not None:
                history.happened(found.started_at, "restart", "the server was started")
                history.saw(found.sessions, now())
                if found.counted is not None:
                    history.counted(found.counted, now())

    def looked_around(self) -> datetime | None:
        """When that was done last, by the server's clock."""
        with suppress(TabsyncError):
            history = self._opened()
            before = counted_before(history.state("logins")) if history is not None else None
            return before.at if before is not None else None
        return None

    def said(self) -> list[str]:
        """What a person has to know of the file, once."""
        found = self._history.said[:] if self._history else []
        if self._history:
            self._history.said.clear()
        return found

    def close(self) -> None:
        """Let go of the file."""
        if self._history is not None:
            self._history.close()
            self._history = None

    def _opened(self, *, must: bool = False) -> History | None:
        """The history; None while it can't be opened. must: raise why it can't."""
        if self._history is None:
            if time.monotonic() < self._open_at:
                return None
            self._open_at = time.monotonic() + _AGAIN
            try:
                self._history = history_of(self.workspace, create=True)
                latest = set(self._history.latest())
                self._measured |= {metric for metric, _ in latest}
                self._labels |= latest
            except TabsyncError:
                self._open_at = 0.0 if not must else self._open_at
                if must:
                    raise
        return self._history

    def _facts(self, error: TabsyncError) -> dict[str, object]:
        since = f" since {self._since:%H:%M:%S} UTC" if self._since else ""
        return {
            "metric": "History",
            "text": f"samples are lost{since}",
            "why": error.fact,
            "meaning": "What is measured is judged, and alerts are sent, but it is not kept: the charts have a gap.",
            "action": "Make room on the disk of the home of tabsync",
            "runbook": "",
        }
