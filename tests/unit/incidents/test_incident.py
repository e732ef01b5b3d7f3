"""What the entries of an incident come to, against a model that is told the same, one after the other."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from tabsync.incidents.incident import MOVES, Entry, Incident, Kind, State, incidents_of, next_update, why_not

_BEGIN = datetime(2026, 12, 1, 3, 0, tzinfo=UTC)
_MOVES = (Kind.MITIGATED, Kind.RESOLVED, Kind.REOPENED, Kind.CLOSED)
_NEXT = {
    "open": {"mitigated": "mitigated", "resolved": "resolved"},
    "mitigated": {"resolved": "resolved", "reopened": "open"},
    "resolved": {"reopened": "open", "closed": "closed"},
    "closed": dict[str, str](),
}
"""The life of an incident, written down once more."""


def entries(*kinds: Kind, **facts: object) -> list[Entry]:
    first = Entry("i", _BEGIN, Kind.OPENED, "ana", "down", {"severity": "major", "subject": "shop"})
    return [
        first,
        *(Entry("i", _BEGIN + timedelta(minutes=at), kind, "ben", "", facts) for at, kind in enumerate(kinds, start=1)),
    ]


def only(found: list[Entry]) -> Incident:
    (one,) = incidents_of(found)
    return one


@given(st.lists(st.sampled_from(_MOVES), max_size=12))
def test_what_it_comes_to_is_what_the_model_says(moves: list[Kind]) -> None:
    state = "open"
    for move in moves:
        state = _NEXT[state].get(move.value, state)
    assert only(entries(*moves)).state.value == state


@given(st.lists(st.sampled_from(_MOVES), max_size=8), st.sampled_from(_MOVES))
def test_where_it_may_go_is_where_it_goes(moves: list[Kind], move: Kind) -> None:
    before = only(entries(*moves))
    after = only(entries(*moves, move))
    assert (why_not(before, move) == "") == (after.state is not before.state)


@given(st.permutations(range(5)))
def test_the_order_in_which_entries_are_read_is_nothing(order: list[int]) -> None:
    every = entries(Kind.MITIGATED, Kind.REOPENED, Kind.MITIGATED, Kind.RESOLVED)
    assert only([every[at] for at in order]).state is State.RESOLVED


def test_two_who_resolve_it_at_once_resolve_it_once() -> None:
    one = only(entries(Kind.RESOLVED, Kind.RESOLVED))
    assert one.resolved_at == _BEGIN + timedelta(minutes=1)


def test_a_false_alarm_is_closed_from_anywhere() -> None:
    one = only([*entries(), Entry("i", _BEGIN + timedelta(minutes=1), Kind.CLOSED, "ana", "", {"false_alarm": True})])
    assert (one.state, one.false_alarm) == (State.CLOSED, True)


def test_what_has_no_beginning_is_no_incident() -> None:
    assert incidents_of(entries()[1:]) == []
    assert incidents_of([Entry("x", _BEGIN, Kind.NOTE, "ana", "lost")]) == []


def test_an_action_is_done_once() -> None:
    found = entries()
    for minute, kind, facts in (
        (1, Kind.ACTION, {"owner": "ana", "due": "2026-12-31"}),
        (2, Kind.ACTION, {"owner": "ben"}),
        (3, Kind.DONE, {"action": 2}),
        (4, Kind.DONE, {"action": 2}),
    ):
        found.append(Entry("i", _BEGIN + timedelta(minutes=minute), kind, "ana", "do it", facts))
    first, second = only(found).actions
    assert first.done_at is None
    assert second.done_at == _BEGIN + timedelta(minutes=3)


def test_an_update_is_due_from_the_last_one_on_until_it_is_resolved() -> None:
    half_an_hour = timedelta(minutes=30)
    assert next_update(only(entries()), half_an_hour) == _BEGIN + half_an_hour
    told = entries(Kind.NOTE, update=True)
    assert next_update(only(told), half_an_hour) == _BEGIN + timedelta(minutes=31)
    assert next_update(only(entries(Kind.RESOLVED)), half_an_hour) is None
    assert next_update(only(entries()), None) is None


def test_each_move_leads_somewhere_else() -> None:
    for before, after in MOVES.values():
        assert after not in before
