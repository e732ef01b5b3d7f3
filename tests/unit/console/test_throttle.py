"""The login's throttle."""

from __future__ import annotations

from tabsync.console.base.throttle import (
    FORGET,
    FREE,
    FREE_ADDRESS,
    LONGEST,
    LONGEST_DELAY,
    Key,
    Throttle,
    keys_of,
)

ANA = (Key("ana"),)


class Time:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def waits(throttle: Throttle, keys: tuple[Key, ...], times: int) -> list[float]:
    return [throttle.admit(keys)[0] for _ in range(times)]


def test_the_first_failures_are_free_and_then_the_wait_doubles() -> None:
    time = Time()
    throttle = Throttle(time)
    assert waits(throttle, ANA, FREE) == [0.0] * FREE
    found = []
    for _ in range(7):
        [wait] = waits(throttle, ANA, 1)
        found.append(wait)
        time.seconds += wait
        assert waits(throttle, ANA, 1) == [0.0]
    assert found == [2.0, 4.0, 8.0, 16.0, 32.0, LONGEST, LONGEST]


def test_what_is_refused_does_not_make_the_wait_longer() -> None:
    throttle = Throttle(Time())
    waits(throttle, ANA, FREE)
    assert waits(throttle, ANA, 50) == [2.0] * 50


def test_an_address_is_slowed_down_whatever_the_names() -> None:
    throttle = Throttle(Time())
    for number in range(FREE_ADDRESS):
        assert throttle.admit(keys_of(f"name {number}", "10.0.0.1")) == (0.0, 0.0)
    assert throttle.admit(keys_of("new", "10.0.0.1"))[0] == 2.0
    assert throttle.admit(keys_of("name 0", "10.0.0.2"))[0] == 0.0


def test_an_account_of_ones_own_does_not_pay_for_guesses_at_others() -> None:
    throttle = Throttle(Time())
    for number in range(FREE_ADDRESS):
        throttle.admit(keys_of(f"name {number}", "10.0.0.1"))
        if number % 3 == 0:
            throttle.admit(keys_of("mallory", "10.0.0.1"))
            throttle.succeeded(keys_of("mallory", "10.0.0.1"))
    assert throttle.admit(keys_of("name x", "10.0.0.1"))[0] > 0


def test_a_name_is_never_refused_for_what_others_do() -> None:
    """Whoever has a thousand addresses delays its owner by some seconds, and no more."""
    throttle = Throttle(Time())
    for number in range(1000):
        wait, delay = throttle.admit(keys_of("ana", f"10.0.{number // 250}.{number % 250}"))
        assert wait == 0.0 and 0.0 <= delay <= LONGEST_DELAY
    assert throttle.admit(keys_of("ana", "192.0.2.1")) == (0.0, LONGEST_DELAY)
    assert throttle.admit(keys_of("bob", "192.0.2.1")) == (0.0, 0.0)
    assert throttle.admit(keys_of("ana", "10.0.0.1", device="known")) == (0.0, 0.0)


def test_a_known_browser_is_counted_for_itself() -> None:
    throttle = Throttle(Time())
    known = keys_of("ana", "10.0.0.1", device="known")
    assert waits(throttle, known, FREE + 1) == [0.0] * FREE + [2.0]  # it may have been stolen
    assert throttle.admit(keys_of("ana", "10.0.0.1"))[0] == 0.0


def test_a_host_with_many_addresses_counts_once() -> None:
    throttle = Throttle(Time())
    found = [throttle.admit(keys_of("ana", f"2001:db8::{number:x}"))[0] for number in range(1, FREE + 2)]
    assert found == [0.0] * FREE + [2.0]


def test_success_forgets_the_failures() -> None:
    throttle = Throttle(Time())
    keys = keys_of("ana", "10.0.0.1")
    waits(throttle, keys, FREE)
    throttle.succeeded(keys)
    assert waits(throttle, keys, FREE) == [0.0] * FREE


def test_failures_are_forgotten() -> None:
    time = Time()
    throttle = Throttle(time)
    waits(throttle, ANA, FREE)
    time.seconds += FORGET + 1
    assert waits(throttle, ANA, FREE) == [0.0] * FREE
