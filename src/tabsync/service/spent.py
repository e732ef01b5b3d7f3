"""The collector's own share of the server's time: a monitor that costs more than it tells must see it itself."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from tabsync.kernel.step import Facts
from tabsync.monitoring.collect.session import Watching


@dataclass(slots=True)
class Spent:
    """How long the server has worked for the collector, since this was asked for last."""

    _ended: float = 0.0
    _last: tuple[float, float] = field(default_factory=lambda: (time.monotonic(), 0.0))

    def ends(self, session: Watching) -> None:
        """Count what a session has spent that is over."""
        self._ended += session.server_seconds

    def share(self, session: Watching | None, every_seconds: float) -> Facts:
        """Percent of the time of one process of the server, as a source of the manual.

        every_seconds: how often it is asked for, and so of what time at least: before the collector began it took
        nothing, and what it has proven in its first second is no share of all seconds.
        """
        total = self._ended + (session.server_seconds if session is not None else 0.0)
        moment, last = time.monotonic(), self._last
        self._last = (moment, total)
        seconds, spent = max(moment - last[0], every_seconds), total - last[1]
        note = f"{spent * 1000:.0f} ms in {seconds:.0f} s"
        return {"value": spent * 100 / seconds, "of": 100.0, "note": note, "command": ""}
