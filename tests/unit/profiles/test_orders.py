"""What is pure about pauses: who is still waited for, and what may be asked."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabsync.kernel.errors import BadUsage
from tabsync.profiles.tabsync.orders import pauses
from tabsync.profiles.tabsync.orders.pauses import Pause, Restaurant
from tabsync.profiles.tabsync.orders.under_way import Waited, Writer, from_json

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)
ALPHA, BETA = Restaurant("a", "alpha", "Alpha"), Restaurant("b", "beta", "Beta")


def writer(number: int, *, wrote_restaurants: bool = False) -> Writer:
    return Writer(f"3/{number}", f"70{number}", number, None, wrote_restaurants, "guest", "app", NOON)


def made(number: int, restaurant: Restaurant | None, drained: datetime | None = None) -> Pause:
    one, until = restaurant or Restaurant("", "", ""), NOON + timedelta(hours=1)
    of = (one.id or None, one.slug or None, one.name or None)
    return Pause(number, of[0], of[1], of[2], "why", "ana", f"run {number}", NOON, until, drained)


_WRITERS = st.lists(
    st.builds(writer, st.integers(1, 9), wrote_restaurants=st.booleans()), unique_by=lambda one: one.key
)


@given(_WRITERS, _WRITERS, st.booleans())
def test_only_who_was_there_at_first_is_waited_for(first: list[Writer], now: list[Writer], everywhere: bool) -> None:
    waited = Waited(first, ["a", "b"], everywhere=everywhere)
    keys = {one.key for one in first}
    assert waited.still(now) == [one for one in now if one.key in keys]
    assert waited.looked_at == (["a", "b"] if first else [])
    waited.seen_free(["a"])
    assert waited.looked_at == (["b"] if first else [])
    assert waited.still(now) == [one for one in now if one.key in keys]
    waited.seen_free(["b"])
    adding = {one.key for one in first if one.wrote_restaurants} if everywhere else set()
    assert waited.still(now) == [one for one in now if one.key in adding]
    assert waited.looked_at == []


@given(_WRITERS, st.sets(st.integers(1, 9)))
def test_who_is_prepared_meanwhile_is_waited_for(first: list[Writer], later: set[int]) -> None:
    waited = Waited(first, ["a"], everywhere=False)
    before = {one.number for one in first}
    prepared = [replace(writer(one), transaction="-1/0", pid=None, gid="x") for one in sorted(later)]
    assert waited.still(prepared) == [one for one in prepared if one.number in before]
    in_the_middle = [replace(one, number=None, gid=None) for one in prepared]
    assert waited.still(in_the_middle) == (in_the_middle if first else [])
    assert all(one.who == "a transaction being prepared" for one in in_the_middle)


def test_rows_that_are_hidden_say_nothing() -> None:
    waited = Waited([writer(1)], ["a"], everywhere=False)
    waited.rows_are_hidden()
    waited.seen_free(["a"])
    assert waited.still([writer(1)]) == [writer(1)]
    assert waited.looked_at == []


def test_a_writer_and_a_pause_come_back_from_json() -> None:
    for one in (writer(1), Writer("-1/7", "7", None, "two phases", True, "", "app", None)):
        assert from_json(one.to_json()) == one
    for drained in (None, NOON):
        for restaurant in (None, ALPHA):
            assert pauses.from_json(made(1, restaurant, drained).to_json()) == made(1, restaurant, drained)


def test_which_pauses_keep_orders_out() -> None:
    stands = [made(1, None), made(2, ALPHA), made(3, BETA)]
    assert [one.id for one in pauses.reaching(stands, ALPHA)] == [1, 2]
    assert [one.id for one in pauses.reaching(stands, None)] == [1]
    assert [one.id for one in pauses.of_scope(stands, ALPHA)] == [2]
    assert [one.id for one in pauses.of_scope(stands, None)] == [1]


@pytest.mark.parametrize("said", ["4min", "8 days", "-1h", "soon", "", "0s"])
def test_how_long_it_may_not_last(said: str) -> None:
    with pytest.raises(BadUsage):
        pauses.checked_span(said)


def test_what_may_be_asked() -> None:
    assert pauses.checked_span("5min") == timedelta(minutes=5)
    assert pauses.checked_span("7 days") == timedelta(days=7)
    assert pauses.checked_wait("0s") == timedelta()
    with pytest.raises(BadUsage):
        pauses.checked_wait("11min")
    assert pauses.checked_reason("  Stripe \n is down ") == "Stripe is down"
    assert pauses.checked_reason(" ") == "no reason given"
    for wrong in ("x" * 1_001, "a\x07b"):
        with pytest.raises(BadUsage):
            pauses.checked_reason(wrong)


def test_what_one_could_type() -> None:
    assert pauses.by_hand(ALPHA, timedelta(hours=2), "it's down", "ana").endswith(
        "values ('a', 'it''s down', 'ana', clock_timestamp() + interval '7200 s')"
    )
    assert "values (null, " in pauses.by_hand(None, timedelta(hours=2), "why", "ana")
    assert pauses.command("resume", BETA) == "tabsync orders resume --restaurant beta"


def test_the_same_words_again_mean_the_same_pause_for_a_while() -> None:
    hour, soon = timedelta(hours=1), NOON + timedelta(minutes=4)
    mine = made(1, None)
    assert pauses.to_wait_for(pauses.alike([mine], hour, "why"), "ana", soon) == mine
    assert pauses.alike([mine], 2 * hour, "why") == []
    assert pauses.alike([mine], hour, "because") == []
    assert pauses.to_wait_for([mine], "ben", soon) is None
    assert pauses.to_wait_for([mine], "ana", NOON + timedelta(minutes=5)) is None
    assert pauses.to_wait_for([made(1, None, NOON)], "ana", soon) is None
    assert pauses.to_wait_for([replace(mine, run_id=None)], "ana", soon) is None
