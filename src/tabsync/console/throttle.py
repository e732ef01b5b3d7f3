"""Slows guessing down: after a few failures, each further one doubles the wait. Kept in memory, for one process."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

FREE = 5
"""Failures that cost nothing."""

LONGEST = 60.0
"""Seconds. Short enough that nobody can lock the person on call out for long by guessing in their name."""

FORGET = 3600.0
"""Seconds after which a failure is forgotten."""

_KEYS = 10_000


@dataclass(slots=True)
class Throttle:
    """Counts failures by key (a name, an address). clock: monotonic seconds."""

    clock: Callable[[], float] = time.monotonic
    _failures: OrderedDict[str, tuple[int, float]] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def admit(self, keys: Sequence[str]) -> float:
        """Seconds to wait before another attempt, 0 when it may go ahead.

        An attempt that goes ahead counts as failed until succeeded() is called, so that many at once don't all pass.
        """
        with self._lock:
            moment = self.clock()
            wait = max(self._wait(key, moment) for key in keys)
            if wait <= 0:
                for key in keys:
                    count, at = self._failures.pop(key, (0, moment))
                    self._failures[key] = (1 if moment - at > FORGET else count + 1, moment)
                while len(self._failures) > _KEYS:
                    self._failures.popitem(last=False)
            return max(wait, 0.0)

    def succeeded(self, keys: Sequence[str]) -> None:
        """The attempt was right: forget the failures of its keys."""
        with self._lock:
            for key in keys:
                self._failures.pop(key, None)

    def _wait(self, key: str, moment: float) -> float:
        count, at = self._failures.get(key, (0, moment))
        if count < FREE:
            return 0.0
        return at + min(LONGEST, 2.0 ** (count - FREE + 1)) - moment
