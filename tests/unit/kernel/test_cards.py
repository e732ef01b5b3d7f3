"""Numbers of cards are found whatever stands between their digits, and nothing else of a line is lost."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabsync.kernel.cards import holds_card, without_cards

_CARDS = ("4242424242424242", "4000 0025 0000 3155", "3782-822463-10005", "6011.0009.9013.9424", "4222222222222")


@pytest.mark.parametrize("card", _CARDS)
def test_a_card_is_not_shown(card: str) -> None:
    assert holds_card(f"card={card}!")
    assert without_cards(f"ERROR 402 card={card}: declined") == "ERROR 402 card=***: declined"


@pytest.mark.parametrize("text", ["2026-11-30T04:15", "1111111111111", "pid 4711, 97 of 97", "ID 1234567"])
def test_other_numbers_stay(text: str) -> None:
    assert not holds_card(text)
    assert without_cards(text) == text


@given(st.lists(st.integers(0, 9), min_size=12, max_size=18), st.sampled_from(["", " ", "-", " - "]), st.text("ab 7"))
def test_whatever_has_the_check_digit_is_gone(payload: list[int], between: str, around: str) -> None:
    check = next(one for one in range(10) if _luhn([*payload, one]))
    card = between.join(map(str, [*payload, check]))
    left = re.sub(r"\D", "", without_cards(f"x{card}x{around}"))
    assert "".join(map(str, [*payload, check])) not in left


def _luhn(digits: list[int]) -> bool:
    """The sum as the standard writes it down: every second digit from the right doubled, its digits added."""
    total = 0
    for place, one in enumerate(reversed(digits)):
        total += sum(map(int, str(one * 2))) if place % 2 else one
    return total % 10 == 0
