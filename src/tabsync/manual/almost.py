"""What is almost an item of the Schedule: understood as prose it would do nothing, and nobody would be told."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from difflib import get_close_matches

from tabsync.manual.sections import Problem

_WORDS = ("at", "within", "retry", "on", "owner")
_BRACKETS = re.compile(r"[(\[]([^()\[\]]*)[)\]]")
_COMMAND = re.compile(r"(?:^|:)\s*(?:sudo )?tabsync [a-z]", re.IGNORECASE)
_VALUE = re.compile(r"\d|\s(?:host|backup|admin)", re.IGNORECASE)
_IDLE = ("--dry-run", "--help", "-h")


def almost(text: str, codes: Sequence[str], line: int) -> Iterator[Problem]:
    """The problems of an item that looks like more than it is understood as. codes: what stands in backticks."""
    if not text.strip():
        yield Problem(line, "an item of the schedule has no text", "a command in backticks, or what a person does")
        return
    commands = [one for one in codes if one.startswith("tabsync ")]
    if len(commands) > 1:
        yield Problem(
            line, f"`{commands[1]}` is the second command of this item, and is never run", "an item of its own"
        )
    if not commands and _COMMAND.search(text):
        yield Problem(
            line, "a command of tabsync is not written as one, so it is never run", "`tabsync ...` in backticks"
        )
    for idle in _IDLE:
        if commands and idle in commands[0].split():
            yield Problem(line, f"`{commands[0]}` does nothing, so it shows nothing", f"the command without {idle}")
    if commands:
        yield from _brackets(text, line)


def _brackets(text: str, line: int) -> Iterator[Problem]:
    """Terms of a command that stand elsewhere than at its end, in other brackets, or with a word misspelled."""
    for found in _BRACKETS.finditer(text):
        parts = [one.strip() for one in found[1].split(",")]
        words = [one.split(" ")[0] for one in parts if " " in one]
        known = [word for word in words if word in _WORDS]
        near = [word for word in words if word not in _WORDS and _is_near(word) and _VALUE.search(found[1])]
        at_end = found.end() == len(text.rstrip()) and found[0].startswith("(")
        if near:
            meant = get_close_matches(near[0].lower(), _WORDS, 1, 0.7)[0]
            yield Problem(line, f"{near[0]!r} in brackets is not known", f"did you mean {meant!r}?")
        elif known and not at_end and (_VALUE.search(found[1]) or "owner" in known):
            yield Problem(line, f"{found[0]} counts only at the end of an item, in round brackets", "put it there")


def _is_near(word: str) -> bool:
    return bool(get_close_matches(word.lower(), _WORDS, 1, 0.7))
