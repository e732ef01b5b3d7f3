"""Long lines of a command's output: looked through in pieces, and only words that are too long are lost."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tabsync.deployments.command import _LOOKED, _pieces


def test_a_line_without_a_space_is_counted() -> None:
    assert list(_pieces("x" * 200_000)) == ["(200,000 characters)"]


@given(st.lists(st.integers(0, 1_500), max_size=12))
def test_all_words_come_in_their_order(lengths: list[int]) -> None:
    line = " ".join("w" * one for one in lengths)
    pieces = list(_pieces(line))
    assert " ".join(pieces).split() == line.split()
    assert all(len(one) <= 2 * _LOOKED for one in pieces)
