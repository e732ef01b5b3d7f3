"""tabsync schedule gate: whether all is there that the manual asks for before something is done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from tabsync.kernel.clock import iso
from tabsync.kernel.errors import BadUsage, Exit
from tabsync.kernel.page import Page, Part
from tabsync.kernel.step import Facts
from tabsync.kernel.units import human_seconds
from tabsync.schedule.items import Item, gates_of
from tabsync.schedule.judge import Record
from tabsync.schedule.look import Look, look, records_of

if TYPE_CHECKING:
    from tabsync.workspace import Workspace

FRESH = timedelta(days=1)
"""How old what a gate asks for may be, where the item doesn't say `within`."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What there is for one item of a gate. why: what is missing, "" when it is there; command: that does it."""

    item: Item
    why: str
    about: str
    command: str

    def to_json(self) -> Facts:
        """The answer for programs."""
        return {
            "item": self.item.name,
            "text": self.item.text,
            "ok": not self.why,
            "missing": self.why or None,
            "evidence": self.about or None,
            "command": self.command,
        }


def gate_named(seen: Look, name: str) -> tuple[str, list[Item]]:
    """A gate by its name, or the beginning of it: "production deployment". Raises BadUsage when there is none."""
    found = gates_of(seen.items)
    asked = " ".join(name.lower().removeprefix("before ").split())
    plain = {gate.removeprefix("a ").removeprefix("each ").removeprefix("every "): gate for gate in found}
    near = [gate for short, gate in plain.items() if short.startswith(asked) or gate == asked]
    if len(near) != 1:
        names = ", ".join(f'"{gate}"' for gate in found) or "none"
        raise BadUsage(f"the schedule has no gate {name!r}", f"its gates: {names}; a heading 'Before ...' makes one")
    return near[0], found[near[0]]


def answers(workspace: Workspace, seen: Look, items: Sequence[Item]) -> list[Answer]:
    """What there is for each item of a gate."""
    longest = max((_allowed(one) for one in items), default=FRESH)
    known = records_of(workspace, seen, seen.now - longest)
    return [_answer(one, known.get(one.key, Record()), seen) for one in items]


def page_of_gate(gate: str, found: Sequence[Answer]) -> Page:
    """The answers as a page; its exit code is 1 when something is missing."""
    missing = [one for one in found if one.why]
    data = {"gate": gate, "ok": not missing, "items": [one.to_json() for one in found]}
    page = Page("schedule gate", data, exit_code=Exit.PROBLEM_FOUND if missing else Exit.DONE)
    if missing:
        count = f"{len(missing)} of {len(found)} are missing" if len(found) > 1 else "what it asks for is missing"
        page.line((f"CLOSED: before {gate}: {count}", "strong bad"))
    else:
        page.line((f"OPEN: before {gate}: all {len(found)} are there", "strong good"))
    rows: list[tuple[str, Part]] = [
        (one.item.name, (f"✗ {one.why}", "bad") if one.why else (f"● {one.about}", "good")) for one in found
    ]
    page.table(("Item", "Evidence"), rows, whole=("Item",))
    for one in missing:
        page.hint(one.command)
    return page


def look_gate(workspace: Workspace, name: str) -> tuple[str, list[Answer]]:
    """A gate by its name, and what there is for each of its items."""
    seen = look(workspace)
    gate, items = gate_named(seen, name)
    return gate, answers(workspace, seen, items)


def _allowed(item: Item) -> timedelta:
    return timedelta(seconds=item.terms.within) if item.terms.within else FRESH


def _answer(item: Item, record: Record, seen: Look) -> Answer:
    command = f"tabsync {item.key.removesuffix(f' ({item.when.name})')}" if item.words else ""
    since = seen.now - _allowed(item)
    allowed = human_seconds(_allowed(item).total_seconds())
    if item.is_task:
        marks = [one for one in record.marks if one.kind == "done" and one.at >= since]
        tick = f'tabsync schedule done {item.name} --note "..."'
        if marks:
            return Answer(item, "", f"ticked off by {marks[-1].who}, {marks[-1].note}".rstrip(", "), tick)
        return Answer(item, f"not ticked off in the last {allowed}", "", tick)
    if not item.built:
        return Answer(item, "not built: this version can't do it", "", command)
    proofs = record.between(since, seen.now + timedelta(minutes=5))
    good = next((one for one in reversed(proofs) if one.counts), None)
    if good is not None:
        return Answer(item, "", f"{good.about or 'done'}, {iso(good.at)[:16].replace('T', ' ')} UTC", command)
    unfit = next((one.why or one.about for one in reversed(proofs)), "")
    return Answer(item, f"no evidence in the last {allowed}" + (f": {unfit}" if unfit else ""), "", command)
