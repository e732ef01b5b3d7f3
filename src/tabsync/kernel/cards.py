"""Numbers of payment cards in other people's texts, such as the log of an application. Pure.

A number counts as one when it is written as people write it (in one piece, or in the groups that are printed on cards),
has 13 to 19 digits, begins as the cards of payment networks do (2 to 6), and has their check digit:
https://www.iso.org/standard/70484.html (ISO/IEC 7812-1)
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_WRITTEN = re.compile(
    r"(?<!\d)(?:[2-6]\d{12,18}|[2-6]\d{3}([ -])\d{4}\1\d{4}\1\d{1,7}|[2-6]\d{3}([ -])\d{6}\2\d{4,5})(?!\d)"
)


def without_cards(text: str) -> str:
    """A text whose cards are written as ***."""
    return _WRITTEN.sub(lambda found: "***" if has_check_digit(_digits(found[0])) else found[0], text)


def has_check_digit(digits: Sequence[int]) -> bool:
    """Whether the last of some digits is the check digit of the others (Luhn)."""
    doubled = (one if place % 2 == 0 else one * 2 - 9 * (one > 4) for place, one in enumerate(reversed(digits)))
    return sum(doubled) % 10 == 0


def _digits(text: str) -> list[int]:
    return [int(one) for one in text if one.isdecimal()]
