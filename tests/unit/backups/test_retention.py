"""What retention keeps, against a model that says it in another way."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabsync.backups.retention.policy import Candidate, class_of, decide, expiry, is_ours
from tabsync.kernel.errors import Refused
from tabsync.manual.model import RetentionClass

DAY = timedelta(days=1)
START = datetime(2026, 1, 1, tzinfo=UTC)


def row(name: str, days: float, *stores: str) -> RetentionClass:
    kept = stores or ("Azure Blob Storage",)
    return RetentionClass(name=name, what="", frequency="", retention=timedelta(days=days), stores=kept, line=1)


CLASSES = (
    row("pitr", 7, "Supabase"),
    row("full", 90),
    row("pre-migration", 365),
    row("critical-tables", 30, "Local", "Azure Blob Storage"),
)


@pytest.mark.parametrize(
    ("kind", "reason", "expected"),
    [
        ("full", "scheduled", "full"),
        ("full", "manual", "full"),
        ("full", "drill", "full"),
        ("full", "pre-migration", "pre-migration"),
        ("full", "Pre-Migration", "pre-migration"),
        ("full", "critical-tables", "critical-tables"),
        ("tables", "manual", "critical-tables"),
        ("tables", "pre-migration", "pre-migration"),
        ("schema", "manual", None),
        ("full", "pitr", "full"),
    ],
)
def test_the_class_is_named_by_the_reason_or_else_by_the_kind(kind: str, reason: str, expected: str | None) -> None:
    found = class_of(kind, reason, CLASSES)
    assert (found.name if found else None) == expected


def test_what_the_provider_keeps_is_not_ours() -> None:
    assert [one.name for one in CLASSES if not is_ours(one)] == ["pitr"]


ids = st.sampled_from([f"b{n}" for n in range(12)])
candidates = st.lists(
    st.builds(
        Candidate,
        id=ids,
        subject=st.sampled_from(["1/shop", "1/blog"]),
        kind=st.sampled_from(["full", "tables", "schema"]),
        reason=st.sampled_from(["manual", "pre-migration", "critical-tables", "drill"]),
        taken_at=st.integers(0, 500).map(lambda days: START + days * DAY),
    ),
    max_size=12,
    unique_by=lambda one: one.id,
)
nows = st.integers(500, 1500).map(lambda days: START + days * DAY)
some = st.sets(ids)


@given(candidates, some, some, some, nows)
def test_what_goes_is_what_the_model_lets_go(
    backups: list[Candidate], held: set[str], proven: set[str], used: set[str], now: datetime
) -> None:
    decisions = decide(backups, CLASSES, dict.fromkeys(held, "evidence"), proven, now, used)
    assert [one.id for one in decisions] == [one.id for one in backups]
    gone = {one.id for one in decisions if not one.keep}
    for one in backups:
        newer = [two for two in backups if two.subject == one.subject and two.taken_at >= one.taken_at and two != one]
        found = class_of(one.kind, one.reason, CLASSES)
        if one.id in gone:
            assert found is not None
            assert now - one.taken_at >= found.retention
            assert one.id not in held | used
            assert any(two.kind == one.kind for two in newer)
            assert one.id not in proven or any(two.id in proven for two in newer)
        elif found is not None and now - one.taken_at >= found.retention and one.id not in held | used:
            strictly = [two for two in newer if two.taken_at > one.taken_at]
            last_of_kind = all(two.kind != one.kind for two in strictly)
            last_proven = one.id in proven and all(two.id not in proven for two in strictly)
            assert last_of_kind or last_proven


@given(candidates, some, some, nows, st.integers(0, 900), st.randoms())
def test_decisions_know_no_order_and_only_ever_let_go(
    backups: list[Candidate], held: set[str], proven: set[str], now: datetime, later: int, random: Random
) -> None:
    holds = dict.fromkeys(held, "")
    first = {one.id: one for one in decide(backups, CLASSES, holds, proven, now)}
    shuffled = list(backups)
    random.shuffle(shuffled)
    assert {one.id: one for one in decide(shuffled, CLASSES, holds, proven, now)} == first
    after = {one.id: one for one in decide(backups, CLASSES, holds, proven, now + later * DAY)}
    assert {one for one in first if not first[one].keep} <= {one for one in after if not after[one].keep}


@given(candidates, nows)
def test_each_database_keeps_its_newest_proven_backup(backups: list[Candidate], now: datetime) -> None:
    proven = {one.id for one in backups if one.kind == "full"}
    kept = {one.id for one in decide(backups, CLASSES, {}, proven, now) if one.keep}
    for subject in {one.subject for one in backups if one.id in proven}:
        mine = [one for one in backups if one.subject == subject and one.id in proven]
        assert max(mine, key=lambda one: (one.taken_at, one.id)).id in kept


def test_a_backup_from_the_future_stops_everything() -> None:
    old, ahead = (Candidate(name, "1/shop", "full", "manual", START + n * DAY) for n, name in enumerate("ab"))
    with pytest.raises(Refused, match="backup b was taken at 2026-01-02"):
        decide([old, ahead], CLASSES, {}, (), START + timedelta(hours=1))
    decide([old, ahead], CLASSES, {}, (), ahead.taken_at - timedelta(seconds=3))  # the server's clock is a bit ahead


def test_for_ever_is_for_ever() -> None:
    assert expiry(START, row("full", 999_999_999)) is None
    ages = [Candidate(name, "1/shop", "full", "manual", START + n * DAY) for n, name in enumerate("abc")]
    decisions = decide(ages, [row("full", 999_999_999)], {}, (), START + 9999 * DAY)
    assert [one.why for one in decisions] == ["class full, kept forever"] * 3


LOCAL = (row("pitr", 7, "Local"), *CLASSES[1:])


def physical(name: str, age: float, parent: str = "", now: datetime = START) -> Candidate:
    return Candidate(name, "1/shop", "incremental" if parent else "physical", "manual", now - age * DAY, parent)


def test_the_window_of_a_class_begins_with_the_newest_base_before_it() -> None:
    backups = [physical("a", 30), physical("b", 9), physical("c", 6), physical("d", 1)]
    kept = {one.id: one for one in decide(backups, LOCAL, {}, set(), START) if one.keep}
    assert set(kept) == {"b", "c", "d"}  # a day 7 ago lies between b and c: it can only be recovered from b
    assert "within the 7 days" in kept["b"].why


def test_a_link_of_a_chain_stays_as_long_as_what_builds_on_it() -> None:
    backups = [
        physical("a", 30),
        physical("b", 20, "a"),
        physical("c", 19, "b"),
        physical("e", 18),
        physical("d", 1, "c"),
    ]
    decisions = decide(backups, LOCAL, {}, set(), START)
    assert [one.id for one in decisions if one.keep] == ["a", "b", "c", "e", "d"]
    assert next(one.why for one in decisions if one.id == "a").endswith("needs it")
    alone = decide([*backups[:4], physical("d", 1)], LOCAL, {"b": ""}, set(), START)
    assert {one.id for one in alone if not one.keep} == set()  # c is the newest increment
    older = [physical("a", 30), physical("e", 18), physical("d", 1)]
    assert [one.id for one in decide(older, LOCAL, {}, set(), START) if not one.keep] == ["a"]


@given(
    st.lists(st.tuples(st.floats(0, 40), st.integers(0, 10)), min_size=1, max_size=11),
    st.sets(st.integers(0, 10)),
)
def test_nothing_that_stays_ever_misses_a_parent(links: list[tuple[float, int]], held: set[int]) -> None:
    backups = [
        physical(f"b{number}", age, f"b{parent}" if parent < number else "")
        for number, (age, parent) in enumerate(links)
    ]
    decisions = decide(backups, LOCAL, {f"b{number}": "" for number in held}, set(), START)
    kept = {one.id for one in decisions if one.keep}
    assert all(one.parent in kept for one in backups if one.id in kept and one.parent)
