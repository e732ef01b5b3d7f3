"""Numbers of cards in a text: found as people write them, and no other number taken for one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from tabsync.kernel.cards import has_check_digit, without_cards


@pytest.mark.parametrize(
    "card",
    [
        "4242424242424242", "4242 4242 4242 4242", "5555-5555-5555-4444", "378282246310005", "3782 822463 10005",
        "6062826786276634", "6304000000000000", "2223003122003222", "3056 930902 5904",
    ],
)  # fmt: skip
def test_a_card_is_not_shown(card: str) -> None:
    assert without_cards(f'card={card}, "number":"{card}";') == 'card=***, "number":"***";'


@pytest.mark.parametrize(
    "text",
    [
        "4242424242424241", "2026-11-30 04:15:50.123456 pid 4242 42", "1764475200123", "tel 4199 8765 4321",
        "57e7e8fa-d873-4193-81c2-ea0418e1214a", "order 42424242424242424242424242", "20261130041553_new",
        "20261130041550_new", "amount 4242 status 402",
    ],
)  # fmt: skip
def test_another_number_is(text: str) -> None:
    assert without_cards(text) == text


@given(some.sampled_from("56"), some.text("0123456789", min_size=11, max_size=17))
def test_one_digit_of_ten_makes_it_a_card(first: str, rest: str) -> None:
    hidden = [last for last in "0123456789" if without_cards(first + rest + last) == "***"]
    assert len(hidden) == 1
    assert has_check_digit([int(one) for one in first + rest + hidden[0]])
