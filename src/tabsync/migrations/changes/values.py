"""Values of defaults: written ones, and what the catalog has made of them."""

from __future__ import annotations

import re

from tabsync.migrations.changes.change import ANY_VALUE
from tabsync.migrations.changes.reader import Reader

_LITERAL = re.compile(r"'((?:[^']|'')*)'(?:::(?P<type>.+))?", re.DOTALL)
_NUMBER = re.compile(r"\(?(-?[0-9]+(?:\.[0-9]+)?)\)?")
_TEXTS = ("text", "character varying", "character", "bpchar")
_CALLS = ("now", "gen_random_uuid")
_WORDS = {"current_timestamp": "CURRENT_TIMESTAMP", "true": "true", "false": "false"}


def expression(read: Reader) -> str:
    """What is left, if it is a literal or one of a few expressions, as the catalog writes those; else ANY_VALUE."""
    left = read.tokens[read.at :]
    texts = tuple(one.text for one in left)
    if len(left) == 1 and left[0].kind == "string" and "${" not in left[0].text:
        return "'" + left[0].text
    if len(left) == 1 and left[0].kind == "word":
        return _WORDS.get(left[0].text, ANY_VALUE)
    if left and left[-1].kind == "number" and texts[:-1] in ((), ("-",)) and _NUMBER.fullmatch(text := "".join(texts)):
        return text
    if len(left) == 3 and left[0].kind == "word" and left[0].text in _CALLS and texts[1:] == ("(", ")"):
        return f"{texts[0]}()"
    return ANY_VALUE


def same_expression(wanted: str, found: str) -> bool | None:
    """Whether a default is what was written; None when it can't be told."""
    if wanted == found:
        return True
    literal = _LITERAL.fullmatch(found)
    content = literal[1].replace("''", "'") if literal else None
    kind = (literal["type"] or "") if literal else ""
    if wanted.startswith("'"):
        if content is not None and content == wanted[1:]:
            return True
        plain = kind.partition("(")[0] in _TEXTS or kind.endswith('"')
        return False if content is not None and plain else None
    number = _NUMBER.fullmatch(content if content is not None else found)
    if _NUMBER.fullmatch(wanted) and number:
        return True if number[1] == wanted else False if "." not in number[1] + wanted else None
    return False if {wanted, found} == {"true", "false"} else None
