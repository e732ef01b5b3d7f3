"""How a run looks while it runs: live on a terminal, one line a step elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from tabsync.kernel.step import Step
from tabsync.kernel.units import human_seconds


@contextmanager
def filling(*, shown: bool) -> Iterator[tuple[Callable[[str], None], Callable[[float, float, str], None]]]:
    """For work that is not a run: gives a function that says a line, and one that moves a bar below it.

    The bar is there only on a terminal; shown: False says nothing at all.
    """
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    if not shown or not console.is_terminal:
        yield (lambda line: console.print(line, markup=False)) if shown else (lambda line: None), lambda *_: None
        return
    bars: list[Progress] = []

    def close() -> None:
        while bars:
            bars.pop().stop()

    def say(line: str) -> None:
        close()
        console.print(line, markup=False)

    def move(done: float, total: float, unit: str) -> None:
        if not bars:
            columns = (BarColumn(bar_width=24), TextColumn("{task.fields[amount]}", markup=False), TimeElapsedColumn())
            bars.append(Progress(*columns, console=console, transient=True))
            bars[0].add_task("", total=total, amount="")
            bars[0].start()
        bars[0].update(TaskID(0), completed=done, total=total, amount=f"{done:,.0f} of {total:,.0f} {unit}")
        if done >= total:
            close()

    try:
        yield say, move
    finally:
        close()


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
