"""The tree of who waits for whom: no I/O."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tabsync.sessions.locks import Waiting, tree


def waits(**by: tuple[int, ...]) -> dict[int, Waiting]:
    return {int(pid[1:]): Waiting(int(pid[1:]), of, "ShareLock", "t", 1.0) for pid, of in by.items()}


def lines(found: dict[int, Waiting]) -> list[tuple[int | str, int]]:
    return [(one.name, one.depth) for one in tree(found)]


def test_who_blocks_and_does_not_wait_is_first() -> None:
    assert lines(waits(p2=(1,), p3=(2,))) == [(1, 0), (2, 1), (3, 2)]


def test_who_blocks_most_is_first() -> None:
    assert lines(waits(p2=(1,), p8=(9,), p7=(9,))) == [(9, 0), (8, 1), (7, 1), (1, 0), (2, 1)]


def test_in_a_queue_each_stands_below_the_root() -> None:
    found = waits(p2=(1,), p3=(1, 2), p4=(1, 2, 3))
    assert lines(found) == [(1, 0), (2, 1), (3, 1), (4, 1)]
    assert tree(found)[3].also == (2, 3)


def test_a_circle_has_no_root_and_is_told_all_the_same() -> None:
    nodes = tree(waits(p2=(3,), p3=(2,), p4=(3,)))
    assert [(one.name, one.depth) for one in nodes] == [(2, 0), (3, 1), (4, 2)]
    assert [one.in_circle for one in nodes] == [True, False, False]
    assert lines(waits(p5=(5,))) == [(5, 0)]  # a parallel worker's leader may block itself


def test_a_prepared_transaction_is_a_root_with_its_name() -> None:
    found = {2: Waiting(2, (0,), "ShareLock", "transactionid", 1.0, ("order-1",))}
    assert lines(found) == [("prepared order-1", 0), (2, 1)]
    assert lines({2: Waiting(2, (0,), "ShareLock", "t", 1.0)}) == [("prepared unknown", 0), (2, 1)]


@given(st.dictionaries(st.integers(1, 12), st.lists(st.integers(0, 12), min_size=1, max_size=4)))
def test_each_is_there_once_and_it_ends(edges: dict[int, list[int]]) -> None:
    found = {pid: Waiting(pid, tuple(dict.fromkeys(of)), "m", "w", None) for pid, of in edges.items()}
    names = [one.name for one in tree(found)]
    assert len(names) == len(set(names))
    assert set(found) <= set(names)
    assert {pid for of in edges.values() for pid in of if pid} <= set(names)
