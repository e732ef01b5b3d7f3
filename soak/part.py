"""What every part of the soak run has: a place, a seed, and a note of what is done, so that it can be resumed."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

Say = Callable[[str], None]
Figures = dict[str, str]


@dataclass(slots=True)
class Part:
    """A part that runs. place: a directory of its own; seed: of whatever it draws; done: figures, by what was done."""

    name: str
    place: Path
    seed: int
    done: dict[str, Figures] = field(default_factory=dict)

    @property
    def state(self) -> Path:
        """Where it is noted what was done."""
        return self.place / "state.json"

    def finish(self, what: str, figures: Figures) -> None:
        """Note that something is done, with its figures."""
        self.done[what] = figures
        self.state.write_text(json.dumps({"seed": self.seed, "done": self.done}, indent=1))


def begun(name: str, home: Path, seed: int | None, *, fresh: bool) -> Part:
    """A part as it was interrupted, with the seed that it had, or a new one. seed: None draws the next."""
    place = home / name
    place.mkdir(parents=True, exist_ok=True)
    part = Part(name, place, seed if seed is not None else 1)
    if part.state.exists() and not fresh:
        state = json.loads(part.state.read_text())
        if seed in (None, state["seed"]):
            part.seed, part.done = state["seed"], state["done"]
    return part
