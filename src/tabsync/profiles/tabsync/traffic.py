"""Live traffic: parties sit down, order, split the bill and pay, at a steady rate, whatever happens to the server.

A worker is a thread with a connection of its own. Nothing leaves it as an exception: a failed scene is counted and
told in last_error, and a lost connection is opened again after a pause that grows while the server stays away.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from random import Random

import psycopg

from tabsync.kernel.errors import BadUsage, TabsyncError
from tabsync.postgres.connect import Connection, connect
from tabsync.postgres.conninfo import check_conninfo
from tabsync.postgres.settings import Limits
from tabsync.profiles.tabsync.scenes import COUNTED, DECLINED_SHARE, Charge, play_one

__all__ = ["LIMITS", "Traffic", "play_one"]

LIMITS = Limits(lock_timeout=2_000, statement_timeout=5_000, idle_in_transaction_timeout=10_000)
"""A guest does not wait longer than this; and a lock that somebody else wants is never held longer."""

_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0  # seconds between attempts to connect


class Traffic:
    """Traffic on one database, from start() to stop().

    conninfo: the database, with the schema and some generated data. seed: what happens is drawn from it (what the
    workers find depends on when they look, so runs are alike and not equal). rate: scenes per second, all workers
    together. workers: sessions at the same time. declined: 0 to 1, the part of card and PIX payments that is turned
    down, or who is asked; it may be changed while traffic runs, to see what an outage of the gateway looks like.

    Raises BadUsage for a rate that is not positive and for a connection string that cannot be read.
    """

    def __init__(
        self, conninfo: str, *, seed: int, rate: float, workers: int = 2, declined: float | Charge = DECLINED_SHARE
    ) -> None:
        if rate <= 0 or workers < 1:
            raise BadUsage(f"{rate:g} scenes per second by {workers} workers is no traffic", "use a rate above 0")
        check_conninfo(conninfo)
        self.declined = declined
        self.last_error = ""
        self._conninfo = conninfo
        self._seed = seed
        self._interval = workers / rate
        self._workers = workers
        self._happened: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Begin, in the background. No-op while it runs."""
        if self._threads:
            return
        self._stopping.clear()
        for number in range(self._workers):
            rng = Random(f"{self._seed} {number}")  # noqa: S311 - it plays guests, it guards nothing
            thread = threading.Thread(target=self._work, args=(rng,), name=f"traffic-{number}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        """End, when the scenes under way are through: at most as long as a connection or a statement may take."""
        self._stopping.set()
        for thread in self._threads:
            thread.join()
        self._threads.clear()

    def counts(self) -> dict[str, int]:
        """What was committed since the beginning, by name (see scenes.COUNTED), and "errors"."""
        with self._lock:
            return {name: self._happened[name] for name in (*COUNTED, "errors")}

    def _work(self, rng: Random) -> None:
        pause = _SHORTEST_PAUSE
        while not self._stopping.is_set():
            try:
                with connect(self._conninfo, "traffic", limits=LIMITS, as_application=True) as conn:
                    pause = _SHORTEST_PAUSE
                    self._play(conn, rng)
            except (psycopg.Error, TabsyncError) as error:
                self._note(error)
                # Jitter: workers that lost the server together should not all come back in the same instant.
                self._stopping.wait(pause * random.uniform(0.5, 1.0))  # noqa: S311
                pause = min(pause * 2, _LONGEST_PAUSE)

    def _play(self, conn: Connection, rng: Random) -> None:
        """Play until told to stop. Raises psycopg.Error only when the connection is lost."""
        due = time.monotonic()
        while not self._stopping.wait(max(0.0, due - time.monotonic())):
            # After a hold-up, go on at the rate: catching up would be a burst that no guest makes.
            due = max(due, time.monotonic() - self._interval) + self._interval
            try:
                happened = play_one(conn, rng, self.declined)
            except psycopg.Error as error:
                if conn.closed:
                    raise
                self._note(error)
            else:
                with self._lock:
                    self._happened[happened] += 1

    def _note(self, error: Exception) -> None:
        with self._lock:
            self._happened["errors"] += 1
            self.last_error = (str(error).strip().splitlines() or [type(error).__name__])[0]
