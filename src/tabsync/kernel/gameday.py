"""What a game day is, and what came of one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from tabsync.kernel.step import Facts

Say = Callable[[str], None]
G = TypeVar("G")
"""Where it takes place: gamedays.ground.Ground, of which a profile declares what it needs."""


@dataclass(frozen=True, slots=True)
class Part(Generic[G]):
    """One condition of a game day.

    play: brings it about, and goes through what the manual says; manual: what its manual says besides; pooled: it needs
    a pooler; needs: what is missing on this machine for it, "" when nothing is.
    """

    name: str
    title: str
    play: Callable[[G, bool, Say], Played]
    manual: Callable[[str], str] = str
    pooled: bool = False
    needs: Callable[[], str] = str


@dataclass(frozen=True, slots=True)
class GameDay(Generic[G]):
    """Conditions that one runbook is for. metric: whose alert tells of it, "" where a command does and nobody watches.

    changes: what its manual says otherwise, when nobody can wait.
    """

    name: str
    title: str
    runbook: str
    metric: str
    parts: tuple[Part[G], ...]
    changes: tuple[tuple[str, str], ...] = ()


@dataclass(slots=True)
class Played:
    """What came of a condition. Times in seconds.

    detect: from the condition to the first message; diagnose: from the message to the sentence that names the cause;
    recover: from the message until its Recovers held; missing: why it was not played; wrong: what was not as it should
    be.
    """

    detect: float | None = None
    diagnose: float | None = None
    recover: float | None = None
    cause: str = ""
    facts: Facts = field(default_factory=dict)
    missing: str = ""
    wrong: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether everything was as it should be."""
        return not self.wrong

    def to_json(self) -> Facts:
        """As evidence."""
        times = {"detect": self.detect, "diagnose": self.diagnose, "recover": self.recover}
        rounded = {name: None if one is None else round(one, 2) for name, one in times.items()}
        return {
            "ok": self.ok,
            **rounded,
            "cause": self.cause,
            "missing": self.missing,
            "wrong": self.wrong,
            **self.facts,
        }
