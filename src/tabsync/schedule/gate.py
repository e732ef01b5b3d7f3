"""tabsync schedule gate: whether all is there that the manual asks for before something is done."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from tabsync.kernel.clock import iso
from tabsync.kernel.errors import BadUsage, Exit
from tabsync.kernel.page import Page, Part
from tabsync.kernel.step import Facts
from tabsync.kernel.units import human_seconds
from tabsync.schedule.evidence import UNTOLD
from tabsync.schedule.items import OUTPUT, Item, gates_of
from tabsync.schedule.judge import AHEAD, Proof, Record
from tabsync.schedule.look import Look, look, records_of
from tabsync.schedule.record import ask_subject

if TYPE_CHECKING:
    from tabsync.workspace import Workspace

FRESH = timedelta(days=1)
"""How old what a gate asks for may be, where the item doesn't say `within`."""


_ARTICLE = re.compile(r"(?:a|an|the|each|every) ")


@dataclass(frozen=True, slots=True)
class Answer:
    """What there is for one item of a gate.

    why: what is missing, "" when it is there; command: that does it; at: when it was done, if it was.
    """

    item: Item
    why: str
    about: str
    command: str
    at: datetime | None = None

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
    """A gate by its name, without its article, or by the beginning of it: "production deployment".

    Raises BadUsage when there is none, or several are as near as one another.
    """
    found = gates_of(seen.items)
    nearest = max((names_gate(name, gate) for gate in found), default=0)
    near = [gate for gate in found if nearest and names_gate(name, gate) == nearest]
    if len(near) == 1:
        return near[0], found[near[0]]
    names = ", ".join(f'"{gate}"' for gate in near or found) or "none"
    if near:
        raise BadUsage(f"{name!r} may be any of several gates: {names}", "name it in full")
    raise BadUsage(f"the schedule has no gate {name!r}", f"its gates: {names}; a heading 'Before ...' makes one")


def names_gate(name: str, gate: str) -> int:
    """How well a name means a gate: 3 in full, 2 without its article, 1 by its beginning, 0 not."""
    asked, plain = " ".join(name.lower().split()).removeprefix("before "), gate.lower()
    short = _ARTICLE.sub("", plain)
    if not asked:
        return 0
    return 3 if plain == asked else 2 if short == asked else 1 if short.startswith(asked) else 0


def answers(workspace: Workspace, seen: Look, items: Sequence[Item]) -> list[Answer]:
    """What there is for each item of a gate."""
    longest = max((_allowed(one) for one in items), default=FRESH)
    if any(one.words for one in items):
        seen = replace(seen, subject=ask_subject(workspace) or UNTOLD)  # the settings may name another database by now
    known = records_of(workspace, seen, seen.now - longest)
    taken = [_good(one, known.get(one.key, Record()), seen) for one in items if one.evidence == "backup"]
    wanted = {proof.backup for proofs in taken for proof in proofs} if taken else None
    return [_answer(one, known.get(one.key, Record()), seen, wanted) for one in items]


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


def _good(item: Item, record: Record, seen: Look) -> list[Proof]:
    """The evidence that counts for an item, the newest first."""
    proofs = record.between(seen.now - _allowed(item), seen.now + AHEAD)
    return [one for one in reversed(proofs) if one.counts]


def _answer(item: Item, record: Record, seen: Look, wanted: Collection[str] | None) -> Answer:
    """wanted: the backups that the gate asks for, None when it asks for none: a drill has to be of one of them."""
    command = f"tabsync {item.key.removesuffix(f' ({item.when.name})')}" if item.words else ""
    if item.evidence == OUTPUT and item.built:
        command = f"tabsync schedule run {item.name}"  # what it prints is its evidence: there it is kept
    since = seen.now - _allowed(item)
    allowed = human_seconds(_allowed(item).total_seconds())
    if item.is_task:
        marks = [one for one in record.marks if one.kind == "done" and since <= one.at <= seen.now + AHEAD]
        tick = f'tabsync schedule done {item.name} --note "..."'
        if marks:
            done = f"ticked off by {marks[-1].who}, {marks[-1].note}".rstrip(", ")
            return Answer(item, "", done, tick, marks[-1].at)
        return Answer(item, f"not ticked off in the last {allowed}", "", tick)
    found = _good(item, record, seen)
    good = next((one for one in found if wanted is None or item.evidence != "drill" or one.backup in wanted), None)
    if good is not None:
        return Answer(item, "", f"{good.about or 'done'}, {iso(good.at)[:16].replace('T', ' ')} UTC", command, good.at)
    if found:
        return Answer(item, f"that was of another backup, {found[0].backup}", "", command)
    proofs = record.between(since, seen.now + AHEAD)
    unfit = next((one.why or one.about for one in reversed(proofs)), item.cant_start)
    return Answer(item, f"no evidence in the last {allowed}" + (f": {unfit}" if unfit else ""), "", command)
