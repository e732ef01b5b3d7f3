"""Game days as bars: one scale for a condition, the oldest on the left, and no bar for what was not played."""

from __future__ import annotations

from tabsync.console.base.practised import DRAWN, HIGH, WIDE, conditions_of
from tabsync.kernel.step import Facts


def day(number: int, recover: float | None, *, ok: bool = True, missing: str = "") -> Facts:
    part = {"title": "The gateway is down", "ok": ok, "detect": 5.0, "diagnose": None, "recover": recover}
    part |= {"missing": missing, "wrong": [], "cause": ""}
    return {"at": "2026-12-01", "facts": {"game_day": "payments", "began": f"2026-11-{number:02}", "parts": [part]}}


def test_the_longest_reaches_the_top_and_the_newest_is_on_the_right() -> None:
    (one,) = conditions_of([day(3, 20), day(2, None, ok=False), day(1, 80), day(4, 9, missing="no server")])
    assert (len(one.played), one.scale) == (3, 80)
    oldest, failed, newest = one.bars
    assert 0 <= oldest.x < failed.x < newest.x < WIDE
    assert oldest.top == 4 < newest.top < oldest.bottom < HIGH
    assert not failed.ok and failed.told == "2026-11-02: told after 5 s"
    assert oldest.told == "2026-11-01: told after 5 s, recovered after 80 s"
    assert [name for name, _ in oldest.marks] == ["detect"]


def test_only_the_newest_are_drawn_and_nothing_is_none() -> None:
    (one,) = conditions_of([day(number % 28 + 1, 10) for number in range(DRAWN + 5)])
    assert (len(one.bars), len(one.played)) == (DRAWN, DRAWN + 5)
    assert conditions_of([]) == []
    (unknown,) = conditions_of([{"at": "x", "facts": {"parts": [{"title": "t", "ok": False}]}}])
    assert unknown.bars[0].told == "x: no time is known"
