"""The login's throttle."""

from __future__ import annotations

from tabsync.console.throttle import FORGET, FREE, LONGEST, Throttle


class Time:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def test_the_first_failures_are_free_and_then_the_wait_doubles() -> None:
    time = Time()
    throttle = Throttle(time)
    assert [throttle.admit(["ana"]) for _ in range(FREE)] == [0.0] * FREE
    waits = []
    for _ in range(7):
        wait = throttle.admit(["ana"])
        waits.append(wait)
        time.seconds += wait
        assert throttle.admit(["ana"]) == 0.0
    assert waits == [2.0, 4.0, 8.0, 16.0, 32.0, LONGEST, LONGEST]


def test_what_is_refused_does_not_make_the_wait_longer() -> None:
    time = Time()
    throttle = Throttle(time)
    for _ in range(FREE):
        throttle.admit(["ana"])
    assert [throttle.admit(["ana"]) for _ in range(50)] == [2.0] * 50


def test_the_slowest_key_decides_and_success_forgets_all() -> None:
    time = Time()
    throttle = Throttle(time)
    for number in range(FREE):
        throttle.admit([f"name {number}", "address"])
    assert throttle.admit(["name new", "address"]) == 2.0  # another name from the same address
    assert throttle.admit(["name 0", "another address"]) == 0.0
    throttle.succeeded(["address"])
    assert throttle.admit(["name new", "address"]) == 0.0


def test_failures_are_forgotten() -> None:
    time = Time()
    throttle = Throttle(time)
    for _ in range(FREE):
        throttle.admit(["ana"])
    time.seconds += FORGET + 1
    assert [throttle.admit(["ana"]) for _ in range(FREE)] == [0.0] * FREE
