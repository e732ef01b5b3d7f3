"""Supabase's figures of a machine, asked for at most twice a minute, however many metrics are made of them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from tabsync.kernel.errors import CannotConnect, TabsyncError
from tabsync.kernel.units import human_seconds
from tabsync.providers.supabase_metrics import CpuTime, Machine, Used, open_metrics

_ASKED_FOR = 30.0  # seconds for which an answer counts, or that there was none: Supabase renews it once a minute
_STALE = 300.0  # seconds after which figures that stay the same are not of now


@dataclass(slots=True)
class AtSupabase:
    """The machine of a project. key_file: see open_metrics()."""

    ref: str
    key_file: Path | None
    _asked_at: float = float("-inf")
    _found: Machine | TabsyncError | None = None
    _last: tuple[float, CpuTime] | None = None
    _before: CpuTime | None = None

    def machine(self) -> Machine:
        """What it says now. Raises TabsyncError, also for figures that have stood still."""
        moment = time.monotonic()
        if self._found is None or moment - self._asked_at >= _ASKED_FOR:
            self._asked_at = moment
            self._ask(moment)
        if isinstance(self._found, TabsyncError):
            raise self._found.with_traceback(None)
        assert self._found is not None  # noqa: S101 - _ask() set it
        return self._found

    def cpu(self) -> Used:
        """Percent of the time of its processors that was used between the last two answers that differ."""
        counted = self.machine().cpu()
        used = counted.since(self._before) if self._before is not None else None
        if used is None:
            raise CannotConnect("it takes two looks, a minute apart, to tell how much is used: tabsync serve looks")
        return Used(used, 100.0, f"of {counted.processors} processor{'s' if counted.processors != 1 else ''}")

    def _ask(self, moment: float) -> None:
        try:
            machine = open_metrics(self.ref, self.key_file).look()
            self._follow(machine, moment)
            self._found = machine
        except TabsyncError as error:
            self._found = error

    def _follow(self, machine: Machine, moment: float) -> None:
        """Follow the processors' time, which never stands still: whoever gives old figures is found out by it."""
        try:
            counted = machine.cpu()
        except CannotConnect:
            return  # cpu() will say so
        if self._last is None or counted != self._last[1]:
            last, self._last = self._last, (moment, counted)
            # Not over an hour in which nobody answered: that would be shown as how much is used now.
            self._before = last[1] if last is not None and moment - last[0] <= _STALE else None
        elif moment - self._last[0] > _STALE:
            told = human_seconds(moment - self._last[0])
            raise CannotConnect(f"Supabase's metrics have not changed for {told}: they are not of now")
