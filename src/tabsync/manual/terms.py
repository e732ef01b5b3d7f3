"""What an item of the Schedule adds in brackets: (at 02:30, within 2 hours, retry 2, on NAME, owner NAME)."""

from __future__ import annotations

import re
from datetime import time

from tabsync.kernel.units import parse_duration
from tabsync.manual.parts import Command, Policy
from tabsync.manual.when import When, minutes_of


class Terms(Policy):
    """What an item says in brackets. within: seconds; retry: how often at most; on, owner: names, or ""."""

    at: time | None = None
    within: int | None = None
    retry: int | None = None
    on: str = ""
    owner: str = ""


class ScheduleItem(Policy):
    """Something due: a tabsync command, or what a person does (command is None).

    frequency: the words of its heading; when: None where these aren't understood; text: without what is in brackets.
    """

    frequency: str
    text: str
    command: Command | None
    line: int
    when: When | None = None
    terms: Terms = Terms()


_LONGEST = 366 * 86_400  # seconds

_BRACKET = re.compile(r"\s*\(([^()]*)\)\s*$")
_KEYWORD = re.compile(r"(at|within|retry|on|owner)\s+(.+)")


def parse_terms(text: str) -> tuple[str, Terms]:
    """An item's text without the brackets at its end, and what these say; prose in brackets is left where it is.

    Raises ValueError when some of it is understood and some isn't.
    """
    bracket = _BRACKET.search(text)
    parts = [one.strip() for one in bracket[1].split(",")] if bracket else []
    matches = [_KEYWORD.fullmatch(one) for one in parts]
    if bracket is None or (not all(matches) and not any(match and match[1] != "on" for match in matches)):
        return text, Terms()
    found: dict[str, object] = {}
    for part, match in zip(parts, matches, strict=True):
        if match is None:
            raise ValueError(f"{part!r} is not one of at, within, retry, on, owner")
        if match[1] == "on" and len(parts) == 1 and " " in match[2]:
            return text, Terms()  # "(on the first working day)" is prose: a name of a service is one word
        if match[1] in found:
            raise ValueError(f"{match[1]!r} is said twice")
        found[match[1]] = _term(match[1], match[2])
    return text[: bracket.start()].rstrip(), Terms.model_validate(found)


def _term(name: str, value: str) -> object:
    if name == "at":
        minutes = minutes_of(value)
        return time(minutes // 60, minutes % 60)
    if name == "within":
        seconds = int(parse_duration(value).total_seconds())
        if seconds < 1:
            raise ValueError(f"within {value!r} is no time")
        if seconds > _LONGEST:
            raise ValueError(f"within {value!r} is longer than a year")
        return seconds
    if name == "retry":
        if not value.isdecimal() or int(value) > 100:
            raise ValueError(f"'retry {value}' is not a number up to 100")
        return int(value)
    return value
