"""How long this process waits for a ledger that another one holds: once, and then not again for a while.

In the hour in which somebody types commands while the ledger is locked, each of a run's entries would wait as long.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

SPARED = 30.0
"""Seconds in which nobody waits again."""

WAITED = 0.5
"""Seconds from which on somebody has waited; less than that is no sign of a ledger that stays locked."""


@dataclass(slots=True)
class Patience:
    """What is known of a ledger's lock. most: seconds to wait, where somebody wants less than is usual."""

    most: float = math.inf
    _given_up: float = -math.inf

    def seconds(self, usual: float) -> float:
        """Seconds that the next write may wait."""
        return 0.0 if time.monotonic() - self._given_up < SPARED else min(usual, self.most)

    @contextmanager
    def at_most(self, seconds: float) -> Iterator[None]:
        """Wait no longer meanwhile: for what can as well be done by the next command."""
        before, self.most = self.most, seconds
        try:
            yield
        finally:
            self.most = before

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Note of one write whether it has waited in vain."""
        begun = time.monotonic()
        try:
            yield
        except Exception:
            if time.monotonic() - begun >= WAITED:
                self._given_up = time.monotonic()
            raise
        self._given_up = -math.inf
