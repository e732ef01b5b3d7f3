"""The collector's own share of the server's time: a monitor that costs more than it tells must see it itself."""

from __future__ import annotations

from dataclasses import dataclass

from tabsync.kernel.step import Facts
from tabsync.monitoring.collect.session import Watching


@dataclass(slots=True)
class Spent:
    """How long the server has worked for the collector, since this was asked for last."""

    _ended: float = 0.0
    _last: tuple[float, float] | None = None

    def ends(self, session: Watching) -> None:
        """Count what a session has spent that is over."""
        self._ended += session.server_seconds

    def share(self, moment: float, session: Watching | None) -> Facts:
        """Percent of the time of one process of the server, as a source of the manual; {} when it has only just begun.

        moment: of time.monotonic().
        """
        total = self._ended + (session.server_seconds if session is not None else 0.0)
        last, self._last = self._last, (moment, total)
        if last is None or moment <= last[0]:
            return {}
        seconds, spent = moment - last[0], total - last[1]
        note = f"{spent * 1000:.0f} ms in {seconds:.0f} s"
        return {"value": spent * 100 / seconds, "of": 100.0, "note": note, "command": ""}
