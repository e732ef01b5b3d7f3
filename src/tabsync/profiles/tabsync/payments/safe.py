"""Names and ids of the database on their way to a page: nothing that could be a card's number goes there. Pure."""

from __future__ import annotations

import re
from uuid import UUID

from tabsync.kernel.cards import has_check_digit
from tabsync.kernel.plain import in_one_line

_LONGEST = 40
_SHORT = 11  # characters; of a text that is shorter, six are too much of it
_MANY_DIGITS = 7
"""A name with so many digits or more is none: a card has 12 to 19, a phone 8 to 13. https://www.iso.org/standard/70484.html"""

_DIGITS = re.compile(r"\d(?:[\W_]{0,4}\d){6,}")
_CARD = re.compile(r"(?:\d[\W_]{0,4}){13,}")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_NUMBER = re.compile(rf"[0-9]{{1,{_MANY_DIGITS - 1}}}")
_SECRET = re.compile(r"@|_|\bat\s+[\w-]+\.\w|(?=\S*[a-z])(?=\S*[A-Z])(?=\S*\d)\S{16,}")
"""An address, or a key."""
HIDDEN = "(a name that is not shown)"


def safe_name(name: str) -> str:
    """A name as it is shown; one that holds many digits, an address or a key is not."""
    text = in_one_line(name)
    if sum(one.isdigit() for one in text) >= _MANY_DIGITS or _SECRET.search(text):
        return HIDDEN
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def safe_id(key: object) -> str:
    """A key as it is shown: a UUID, a number that is no card's, or the first four and the last two characters."""
    text = in_one_line(str(key))
    plain = isinstance(key, int | UUID) or _UUID.fullmatch(text) or _NUMBER.fullmatch(text)
    if plain and not holds_card(text):
        return text
    return f"{text[:4]}...{text[-2:]}" if len(text) >= _SHORT else f"{text[:1]}..."


def holds_card(text: str) -> bool:
    """Whether some 13 to 19 decimal digits of a text, with whatever is between them, have the check digit of a card.

    https://www.iso.org/standard/70484.html, annex B (Luhn)
    """
    for run in _CARD.findall(text):
        digits = [int(one) for one in run if one.isdecimal()]
        spans = ((start, length) for length in range(13, 20) for start in range(len(digits) - length + 1))
        if any(has_check_digit(digits[start : start + length]) for start, length in spans):
            return True
    return False


def without_digits(text: str) -> str:
    """A message of somebody else, without long numbers: a server repeats values in its errors."""
    return _DIGITS.sub("***", in_one_line(text))
