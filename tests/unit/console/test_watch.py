"""One look at a time, and nobody waits for one that hangs."""

from __future__ import annotations

import threading
import time

from tabsync.console.base.watch import Watch
from tabsync.kernel.errors import Refused
from tabsync.kernel.step import Facts


def test_a_look_that_hangs_delays_nobody_and_is_not_taken_twice() -> None:
    release, looks = threading.Event(), []

    def look() -> Facts:
        looks.append(1)
        release.wait(10)
        return {"seen": True}

    watch = Watch(look)
    started = time.monotonic()
    seen = [watch.see(0.05) for _ in range(5)]
    assert time.monotonic() - started < 2
    assert [one.facts for one in seen] == [None] * 5
    assert all(one.pending is not None for one in seen)
    release.set()
    assert watch.see(5).facts == {"seen": True}
    assert len(looks) == 1


def test_what_is_fresh_is_not_asked_for_again_and_what_is_old_is() -> None:
    numbers = iter(range(9))
    watch = Watch(lambda: {"number": next(numbers)}, fresh=60)
    assert [watch.see(5).facts for _ in range(3)] == [{"number": 0}] * 3
    watch.fresh = 0
    assert watch.see(5).facts == {"number": 1}


def test_a_look_that_fails_is_told_beside_what_was_seen_before() -> None:
    answers: list[Facts | Exception] = [{"number": 1}, Refused("no manual", "write one"), {"number": 2}]

    def look() -> Facts:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    watch = Watch(look, fresh=0)
    assert watch.see(5).problem is None
    second = watch.see(5)
    assert second.facts == {"number": 1} and second.problem == ("no manual", "write one")
    third = watch.see(5)
    assert third.facts == {"number": 2} and third.problem is None
