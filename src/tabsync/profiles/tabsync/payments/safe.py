"""Names and ids of the database on their way to a page: nothing that could be a card's number goes there. Pure."""

from __future__ import annotations

import re

from tabsync.kernel.cards import has_check_digit
from tabsync.kernel.plain import in_one_line

_LONGEST = 40
_MANY_DIGITS = 7
"""A name with so many digits or more is none: a card has 12 to 19, a phone 8 to 13. https://www.iso.org/standard/70484.html"""

_DIGITS = re.compile(r"\d(?:[\W_]{0,3}\d){6,}")
HIDDEN = "(a name that is not shown)"


def safe_name(name: str) -> str:
    """A name as it is shown; one that holds many digits, or an address, is not."""
    text = in_one_line(name)
    if sum(one.isdigit() for one in text) >= _MANY_DIGITS or "@" in text:
        return HIDDEN
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def safe_id(key: str) -> str:
    """A key as it is shown; of one that could hold a card's number, the first four characters and the last two."""
    text = in_one_line(key)
    if len(text) > _LONGEST or holds_card(text):
        return f"{text[:4]}...{text[-2:]}"
    return text


def holds_card(text: str) -> bool:
    """Whether some 13 to 19 decimal digits of a text, with whatever is between them, have the check digit of a card.

    https://www.iso.org/standard/70484.html, annex B (Luhn)
    """
    for run in re.findall(r"(?:\d[\s.,;:_/\\|-]{0,3}){13,}", text):
        digits = [int(one) for one in run if one.isdecimal()]
        spans = ((start, length) for length in range(13, 20) for start in range(len(digits) - length + 1))
        if any(has_check_digit(digits[start : start + length]) for start, length in spans):
            return True
    return False


def without_digits(text: str) -> str:
    """A message of somebody else, without long numbers: a server repeats values in its errors."""
    return _DIGITS.sub("***", in_one_line(text))
