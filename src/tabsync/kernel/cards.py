"""Numbers of payment cards in other people's words: found by their check digit, and never shown.

ISO/IEC 7812-1, annex B (Luhn): https://www.iso.org/standard/70484.html
"""

from __future__ import annotations

import re

_SHORTEST, _LONGEST = 13, 19  # digits of a card's number
_RUN = re.compile(r"\d(?:[\s.,;:_/\\|-]{0,3}\d){12,}")
HIDDEN = "***"


def holds_card(text: str) -> bool:
    """Whether some 13 to 19 decimal digits of a text, with whatever is between them, have the check digit of a card."""
    return any(_has_card(found[0]) for found in _RUN.finditer(text))


def without_cards(text: str) -> str:
    """A text without runs of digits that hold a card's number. Other long numbers are taken for one now and then."""
    return _RUN.sub(lambda found: HIDDEN if _has_card(found[0]) else found[0], text)


def _has_card(run: str) -> bool:
    digits = [int(one) for one in run if one.isdecimal()]
    spans = ((start, length) for length in range(_SHORTEST, _LONGEST + 1) for start in range(len(digits) - length + 1))
    return any(_has_check_digit(digits[start : start + length]) for start, length in spans)


def _has_check_digit(digits: list[int]) -> bool:
    doubled = (one if place % 2 == 0 else one * 2 - 9 * (one > 4) for place, one in enumerate(reversed(digits)))
    return sum(doubled) % 10 == 0
