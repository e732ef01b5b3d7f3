"""Slows guessing down, without giving a stranger a way to lock an operator out. Kept in memory, for one process.

Failures are counted three times. For a name from one address: after a few, each further one doubles the wait. For an
address: the same, later. For a name from everywhere: an attempt is only delayed, never refused, or whoever knows a name
could keep its owner out. A browser that the operator logged in with before is counted for itself and has none of that.
https://owasp.org/www-community/Slow_Down_Online_Guessing_Attacks_with_Device_Cookies
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tabsync.console.base.connections import origin_of

FREE = 5
"""Failures that cost nothing, for a name from one address."""

FREE_ADDRESS = 20
"""The same for an address whatever the names: an office has one."""

LONGEST = 60.0
"""Seconds of the longest wait."""

LONGEST_DELAY = 4.0
"""Seconds that an attempt is held back at most when others guess at its name."""

FORGET = 3600.0
"""Seconds after which a failure is forgotten."""

_KEYS = 10_000


@dataclass(frozen=True, slots=True)
class Key:
    """What failures are counted for. free: so many cost nothing; delays: they delay and never refuse."""

    name: str
    free: int = FREE
    delays: bool = False


def keys_of(name: str, address: str, device: str = "") -> tuple[Key, ...]:
    """What an attempt counts for. device: the mark of a browser that this operator logged in with before, or ""."""
    name, origin = name.strip().lower()[:64], origin_of(address)
    if device:
        return (Key(f"device {device}"),)
    return (
        Key(f"name {name} from {origin}"),
        Key(f"address {origin}", FREE_ADDRESS),
        Key(f"name {name}", FREE_ADDRESS, delays=True),
    )


@dataclass(slots=True)
class Throttle:
    """Counts failures by key. clock: monotonic seconds."""

    clock: Callable[[], float] = time.monotonic
    _failures: OrderedDict[str, tuple[int, float]] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def admit(self, keys: Sequence[Key]) -> tuple[float, float]:
        """Seconds to wait before another attempt, 0 when it may go ahead; and seconds to hold it back then.

        An attempt that goes ahead counts as failed until succeeded() is called, so that many at once don't all pass.
        """
        with self._lock:
            moment = self.clock()
            wait = max([0.0, *(self._wait(key, moment) for key in keys if not key.delays)])
            delay = max([0.0, *(self._delay(key, moment) for key in keys if key.delays)])
            if wait <= 0:
                for key in keys:
                    self._failures[key.name] = (self._count(key, moment) + 1, moment)
                    self._failures.move_to_end(key.name)
                while len(self._failures) > _KEYS:
                    self._failures.popitem(last=False)
            return wait, delay

    def succeeded(self, keys: Sequence[Key]) -> None:
        """The attempt was right: it was no failure, and this name's from this address are forgotten.

        Those of the address are not: whoever has one account could guess at the others for ever.
        """
        with self._lock:
            for number, key in enumerate(keys):
                count, at = self._failures.pop(key.name, (0, 0.0))
                if number > 0 and count > 1:
                    self._failures[key.name] = (count - 1, at)

    def wait(self, keys: Sequence[Key]) -> float:
        """Seconds to wait before another attempt; counts nothing."""
        with self._lock:
            moment = self.clock()
            return max([0.0, *(self._wait(key, moment) for key in keys)])

    def _count(self, key: Key, moment: float) -> int:
        count, at = self._failures.get(key.name, (0, moment))
        return 0 if moment - at > FORGET else count

    def _wait(self, key: Key, moment: float) -> float:
        count = self._count(key, moment)
        if count < key.free:
            return 0.0
        return self._failures[key.name][1] + min(LONGEST, 2.0 ** min(count - key.free + 1, 16)) - moment

    def _delay(self, key: Key, moment: float) -> float:
        count = self._count(key, moment)
        return 0.0 if count < key.free else min(LONGEST_DELAY, 0.25 * 2.0 ** min(count - key.free, 8))
