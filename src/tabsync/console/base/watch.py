"""Looks at the database for all who watch: one look at a time, and nobody waits for one that hangs.

However many pages are open, the database sees one collector; a database that doesn't answer delays no page by more
than the wait that the page allows.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from tabsync.kernel.errors import TabsyncError
from tabsync.kernel.step import Facts

_log = logging.getLogger("tabsync.console")


@dataclass(frozen=True, slots=True)
class Seen:
    """What the last finished look gave. age: seconds since; pending: seconds that a running look has taken, or None.

    facts: None while no look has ever finished; problem: (fact, hint) of the error that ended the newest one.
    """

    facts: Facts | None
    age: float
    pending: float | None
    problem: tuple[str, str] | None


@dataclass(slots=True)
class Watch:
    """look: takes the look, in a thread of its own; fresh: seconds for which a result is not asked for again."""

    look: Callable[[], Facts]
    fresh: float = 5.0
    _done: threading.Condition = field(default_factory=threading.Condition)
    _facts: Facts | None = None
    _problem: tuple[str, str] | None = None
    _at: float | None = None
    _started: float | None = None

    def see(self, wait: float) -> Seen:
        """The newest result, waiting at most so many seconds for one that is fresh."""
        with self._done:
            if self._started is None and not self._is_fresh():
                self._started = time.monotonic()
                threading.Thread(target=self._take, name="console-look", daemon=True).start()
            self._done.wait_for(lambda: self._started is None, timeout=wait)
            moment = time.monotonic()
            age = moment - self._at if self._at is not None else 0.0
            pending = moment - self._started if self._started is not None else None
            return Seen(self._facts, age, pending, self._problem)

    def _is_fresh(self) -> bool:
        return self._at is not None and time.monotonic() - self._at < self.fresh

    def _take(self) -> None:
        facts, problem = None, None
        try:
            facts = self.look()
        except TabsyncError as error:
            problem = (error.fact, error.hint)
        except Exception as error:  # noqa: BLE001 - a look that fails must not stop the next one
            _log.exception("the check of the database failed")
            problem = (f"the check itself failed: {type(error).__name__}", "read the console's log")
        with self._done:
            if facts is not None:
                self._facts = facts
            self._problem, self._at, self._started = problem, time.monotonic(), None
            self._done.notify_all()
