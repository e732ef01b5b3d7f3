"""Work that needs a lock on tables of the application: short transactions, tried again, and nobody queues for long."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

import psycopg

from tabsync.kernel.errors import FailedPartway
from tabsync.postgres.connect import Connection
from tabsync.postgres.settings import Limits

LONGEST = 100
"""How long others may have to wait behind us for a lock, in milliseconds; it varies from half of it, so that two who
wait for each other don't do so in step."""
PATIENCE = 60.0
"""For how many seconds it is tried."""

WORKING = Limits(lock_timeout=LONGEST, statement_timeout=0)
"""Sessions that change something; each transaction sets its own lock_timeout."""
BUILDING = Limits(lock_timeout=600_000, statement_timeout=0)
"""What is done CONCURRENTLY or validated waits for whoever writes, and keeps nobody from writing."""

T = TypeVar("T")


def patiently(connection: Connection, what: str, work: Callable[[], T], patience: float = 0.0) -> T:
    """Do work in a transaction whose locks come soon or not at all; then it is tried again. Gives what it gives.

    what: in words, for the error; patience: seconds, 0: PATIENCE. Raises FailedPartway when the lock never came.
    """
    until = time.monotonic() + (patience or PATIENCE)
    tried = 0
    while True:
        tried += 1
        try:
            with connection.transaction():
                wait = random.randint(LONGEST // 2, LONGEST)  # noqa: S311 - no secret
                connection.execute("select set_config('lock_timeout', %s, true)", (f"{wait}ms",))
                return work()
        except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected):
            if time.monotonic() > until:
                raise FailedPartway(
                    f"{what}: another session holds the lock, {tried} attempts of {LONGEST} ms each",
                    "to see which session: tabsync locks show; run it again when it has ended: it continues",
                ) from None
            time.sleep(random.uniform(0.5, 2.0) * LONGEST / 1000)  # noqa: S311
