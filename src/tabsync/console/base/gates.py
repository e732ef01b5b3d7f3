"""The gates of the schedule as the console and its API show them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tabsync.kernel.errors import Refused
from tabsync.kernel.step import Facts
from tabsync.schedule.gate import Answer, answers
from tabsync.schedule.items import Item, gates_of
from tabsync.schedule.look import Look
from tabsync.service.run_item import begin_item, started_by_hand

if TYPE_CHECKING:
    from tabsync.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Gate:
    """One gate, as it is now. running: the keys of the items that are being done."""

    name: str
    answers: Sequence[Answer]
    running: frozenset[str]

    @property
    def is_open(self) -> bool:
        """Whether all is there that it asks for."""
        return not any(one.why for one in self.answers)

    @property
    def doable(self) -> bool:
        """Whether something is missing that can be started."""
        return any(is_doable(one) and one.item.key not in self.running for one in self.answers)

    def to_json(self) -> Facts:
        """The gate for programs."""
        told = {"gate": self.name, "ok": self.is_open, "running": bool(self.running)}
        return {"version": 1, "kind": "gate", **told, "items": [one.to_json() for one in self.answers]}


def gate_now(workspace: Workspace, seen: Look, name: str, items: Sequence[Item]) -> Gate:
    """A gate by its whole name, with its items."""
    running = started_by_hand(workspace, items).items()
    return Gate(name, answers(workspace, seen, items), frozenset(key for key, one in running if one.ended is None))


def gates_now(workspace: Workspace, seen: Look) -> list[Gate]:
    """Each gate, in the order of the manual."""
    return [gate_now(workspace, seen, name, items) for name, items in gates_of(seen.items).items()]


def is_doable(one: Answer) -> bool:
    """Whether it is missing, and a command of ours does it."""
    return bool(one.why and one.item.words and one.item.built)


def begin_missing(workspace: Workspace, seen: Look, items: Sequence[Item], actor: str) -> None:
    """Start what is missing and can be started, in the background; what runs already is left alone.

    Raises what stops one of them from being started, after the others were.
    """
    refused: Refused | None = None
    running = gate_now(workspace, seen, "", items).running
    for one in answers(workspace, seen, items):
        if is_doable(one) and one.item.key not in running:
            try:
                begin_item(workspace, one.item, seen.subject, actor)
            except Refused as error:
                refused = error
    if refused is not None:
        raise refused
