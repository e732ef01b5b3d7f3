"""What is wrong between the Schedule and the rest: what is said twice, what nobody does, what can't be started."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass

from tabsync.manual.model import Manual, RetentionClass
from tabsync.manual.sections import Problem
from tabsync.manual.terms import ScheduleItem
from tabsync.manual.when import When, parse_when


@dataclass(frozen=True, slots=True)
class Commands:
    """What those above know of commands, each asked with the words of one.

    meaning: equal for two spellings of the same command; feeds: the class of the backups that it takes, "" for none;
    cant_start: why a schedule can't start it, "" when it can or this version doesn't have it. is_ours: whether a class
    is kept in a store that we write to.
    """

    meaning: Callable[[Sequence[str]], Hashable]
    feeds: Callable[[Sequence[str], Sequence[RetentionClass]], str]
    cant_start: Callable[[Sequence[str], When | None], str]
    is_ours: Callable[[RetentionClass], bool]


def check_schedule(manual: Manual, commands: Commands) -> Iterator[Problem]:
    """Everything that is wrong with the items of the Schedule."""
    yield from _twice(manual, commands)
    yield from _unfed(manual, commands)
    for item in manual.schedule:
        if item.command is not None and (why := commands.cant_start(item.command.words, item.when)):
            what = f"`tabsync {item.command.text}` can't be started by the schedule: {why}"
            yield Problem(item.line, what, "a command that ends by itself and asks nobody")


def _twice(manual: Manual, commands: Commands) -> Iterator[Problem]:
    """An item is known by its command, or its text: of two that are the same, one's evidence would count for both.

    Before different occasions the same may be needed.
    """
    first: dict[Hashable, int] = {}
    for item in manual.schedule:
        occasion = item.frequency if item.when and item.when.kind == "before" else ""
        if item.command is not None:
            key: Hashable = (occasion, commands.meaning(item.command.words))
            what, expected = f"`tabsync {item.command.text}`", "each command at one time"
        else:
            key, what, expected = (occasion, item.text), f"the task {item.text!r}", "another text for each task"
        if key in first:
            yield Problem(item.line, f"{what} is already in the schedule, on line {first[key]}", expected)
        first.setdefault(key, item.line)


def _unfed(manual: Manual, commands: Commands) -> Iterator[Problem]:
    """Classes that are to be taken by the clock, into stores of ours, and that no item takes often enough."""
    taken: dict[str, list[ScheduleItem]] = {}
    for item in manual.schedule:
        if item.command is not None and item.when is not None and item.when.kind != "before":
            taken.setdefault(commands.feeds(item.command.words, manual.retention), []).append(item)
    for row in manual.retention:
        due = _clock(row.frequency)
        if due is None or not commands.is_ours(row):
            continue
        items = taken.get(row.name, [])
        often = min(items, key=_period, default=None)
        if often is None:
            what = f"no item of the schedule takes the class {row.name!r}, whose frequency is {row.frequency!r}"
            yield Problem(row.line, what, "an item of the schedule with its command")
        elif _period(often) > due.period:
            what = f"the class {row.name!r} has the frequency {row.frequency!r}, but is taken {often.frequency} only"
            yield Problem(row.line, what, f"the same frequency as in the schedule, on line {often.line}")


def _clock(frequency: str) -> When | None:
    try:
        when = parse_when(frequency)
    except ValueError:
        return None  # "when it is needed": free words are for people
    return when if when.kind in ("clock", "every") else None


def _period(item: ScheduleItem) -> int:
    """Seconds between two; 0 for what runs all the time."""
    return item.when.period if item.when else 0
