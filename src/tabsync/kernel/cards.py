"""Numbers of payment cards in other people's texts, such as the log of an application. Pure.

A number counts as one when it is written as people write it (in one piece, or in the groups that are printed on cards),
begins and is as long as the cards of a payment network are, and has their check digit:
https://www.iso.org/standard/70484.html (ISO/IEC 7812-1). So times and most other long numbers are none.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_WRITTEN = re.compile(
    r"(?<!\d)(?:[2-6]\d{12,18}|[2-6]\d{3}([ -])\d{4}\1\d{4}\1\d{1,7}|[2-6]\d{3}([ -])\d{6}\2\d{4,5})(?!\d)"
)

_NETWORKS = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})"  # Visa
    r"|(?:222[1-9]|22[3-9]\d|2[3-6]\d\d|27[01]\d|2720)\d{12}"  # Mastercard, since 2017
    r"|3[47]\d{13}|3[0689]\d{12}|35\d{14}"  # American Express, Diners Club, JCB
    r"|[56]\d{12,18}"  # Mastercard, Maestro, Elo, Hipercard, Discover, UnionPay
)


def without_cards(text: str) -> str:
    """A text whose cards are written as ***."""
    return _WRITTEN.sub(lambda found: "***" if _is_card(found[0]) else found[0], text)


def has_check_digit(digits: Sequence[int]) -> bool:
    """Whether the last of some digits is the check digit of the others (Luhn)."""
    doubled = (one if place % 2 == 0 else one * 2 - 9 * (one > 4) for place, one in enumerate(reversed(digits)))
    return sum(doubled) % 10 == 0


def _is_card(written: str) -> bool:
    digits = "".join(one for one in written if one.isdecimal())
    return bool(_NETWORKS.fullmatch(digits)) and has_check_digit([int(one) for one in digits])
