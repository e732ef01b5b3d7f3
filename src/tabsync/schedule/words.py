"""How the schedule is told: states with colour and shape, moments in the item's zone."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, tzinfo

from tabsync.kernel.page import Page, Style
from tabsync.kernel.step import Facts
from tabsync.schedule.items import Item
from tabsync.schedule.judge import State, Verdict

SIGN: dict[State, tuple[str, Style]] = {
    State.DONE: ("●", "good"),
    State.SKIPPED: ("–", "quiet"),
    State.RUNNING: ("▶", "good"),
    State.WAITING: ("◷", "quiet"),
    State.OPEN: ("□", "quiet"),
    State.EXPECTED: ("·", "quiet"),
    State.FAILED: ("✗", "bad"),
    State.PROVED_NOTHING: ("✗", "bad"),
    State.MISSED: ("○", "bad"),
    State.APPROVAL: ("?", "warning"),
    State.NOT_BUILT: ("·", "quiet"),
    State.ELSEWHERE: ("→", "quiet"),
    State.UNKNOWN: ("?", "warning"),
}
"""A shape and a style for each state: nobody has to see colours."""


def moment(at: datetime | None, zone: tzinfo) -> str:
    """A moment as a person reads it: "Sun 29 Nov 02:00"."""
    return f"{at.astimezone(zone):%a %d %b %H:%M}" if at else ""


def zone_told(page: Page, zone: tzinfo) -> None:
    """Say on a page in which zone its times are."""
    page.line(f"Times are those of {zone}.", style="quiet")


def schedule_in(item: Item, zone: tzinfo) -> str:
    """When an item is due, in words, without the zone in which the page is told anyway."""
    return item.schedule.removesuffix(f" {zone}")


def told(verdict: Verdict, zone: tzinfo) -> str:
    """A state in words, with its reason."""
    state = told_short(verdict, zone)
    return f"{state}: {verdict.why}" if verdict.why and verdict.state is not State.DONE else state


def told_short(verdict: Verdict, zone: tzinfo) -> str:
    """A state in words, without its reason."""
    if verdict.state is State.MISSED and verdict.caught_up:
        return f"missed, caught up {moment(verdict.caught_up, zone)}"
    if verdict.state is State.SKIPPED and verdict.who:
        return f"skipped by {verdict.who}"
    if verdict.state is State.DONE and verdict.at:
        return f"done {moment(verdict.at, zone)}"
    if verdict.state is State.NOT_BUILT and verdict.occurrence.item.barred:
        return "not started"
    return verdict.state.value


def first_line(text: str, most: int = 160) -> str:
    """The first line of a fact, cut at a word where it is longer: `schedule show` has all of it."""
    line = next((one for one in text.splitlines() if one.strip()), "").strip()
    return line if len(line) <= most else f"{line[: most - 2].rsplit(' ', 1)[0].rstrip(' ,;:')} …"


def sum_told(counts: Mapping[State, int]) -> str:
    """What became of many occurrences, as a sum: "285 of 288 done, 2 missed, 1 failed"."""
    done, due = counts.get(State.DONE, 0), sum(counts.values())
    others = [f"{count} {state.value}" for state, count in counts.items() if state is not State.DONE and count]
    return ", ".join([f"{done:,} of {due:,} done", *others])


def as_json(verdict: Verdict) -> Facts:
    """A verdict for programs."""
    one = verdict.occurrence
    return {
        "item": one.item.name,
        "due": one.due.isoformat(),
        "until": one.until.isoformat(),
        "state": verdict.state.value,
        "why": verdict.why,
        "at": verdict.at.isoformat() if verdict.at else None,
        "caught_up": verdict.caught_up.isoformat() if verdict.caught_up else None,
        "run": verdict.run_id or None,
        "who": verdict.who or None,
    }


def item_as_json(item: Item) -> Facts:
    """An item for programs."""
    return {
        "item": item.name,
        "text": item.text,
        "command": " ".join(["tabsync", *item.words]) if item.words else None,
        "schedule": item.schedule,
        "on": item.terms.on or None,
        "owner": item.terms.owner or None,
        "approval": item.approval or None,
        "built": item.built,
        "only_a_person": item.barred or None,
        "line": item.line,
    }
