"""Other people's words on a terminal: none of them is a command to it, and none pretends to be a line of ours."""

from __future__ import annotations

import re

_OBEYED = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""Control characters but the line feed, and those that turn the direction of writing around."""


def plain(text: str) -> str:
    """A text without what a terminal would obey."""
    return _OBEYED.sub("\N{REPLACEMENT CHARACTER}", text)


def in_one_line(text: str) -> str:
    """The same in one line."""
    return " ".join(plain(text).split())


def escaped(text: str) -> str:
    """The same with each character that isn't shown as its escape: two values that differ look different."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode("ascii") for one in text)


def is_text(text: str) -> bool:
    """Whether it can be stored and sent: a command line, a file's name and JSON may hold what is no character."""
    return not any("\ud800" <= letter <= "\udfff" for letter in text)
