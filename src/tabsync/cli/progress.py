"""How a run looks while it runs: live on a terminal, one line a step elsewhere."""

from __future__ import annotations

import time

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from tabsync.kernel.step import Step
from tabsync.kernel.units import human_seconds


class Lines:
    """One line on stderr when a step ends; for pipes and logs."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False, soft_wrap=True)
        self._place = ""

    def step_started(self, number: int, total: int, step: Step) -> None:
        """Remember where we are."""
        self._place = f"[{number:>2}/{total}]"

    def progress(self, done: float, total: float, unit: str) -> None:
        """A log has no use for it."""

    def step_ended(self, step: Step, seconds: float, error: str) -> None:
        """Print the line."""
        end = f"failed after {human_seconds(seconds)}" if error else human_seconds(seconds)
        self._console.print(f"{self._place} {step.title}: {end}", markup=False)


class Live:
    """A live line for the open step, finished steps above it."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._progress: Progress | None = None
        self._task: TaskID | None = None
        self._place = ""
        self._last = 0.0

    def step_started(self, number: int, total: int, step: Step) -> None:
        """Open the live line."""
        self._place = f"{number:>2}/{total}"
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.fields[place]} {task.description}", markup=False),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[amount]}", markup=False),
            TimeElapsedColumn(),
            console=self._console,
            transient=True,
        )
        self._task = self._progress.add_task(step.title, total=None, place=self._place, amount="")
        self._progress.start()

    def progress(self, done: float, total: float, unit: str) -> None:
        """Move the bar, at most ten times a second."""
        if self._progress is None or self._task is None or (time.monotonic() - self._last < 0.1 and done < total):
            return
        self._last = time.monotonic()
        self._progress.update(self._task, completed=done, total=total, amount=f"{done:,.0f} of {total:,.0f} {unit}")

    def step_ended(self, step: Step, seconds: float, error: str) -> None:
        """Close the live line and leave one that says how it ended."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None
        mark, style = ("failed", "red") if error else ("ok", "green")
        self._console.print(f"[{style}]{mark:>6}[/] [dim]{self._place}[/] ", end="")
        self._console.print(f"{step.title}  {human_seconds(seconds)}", markup=False)
