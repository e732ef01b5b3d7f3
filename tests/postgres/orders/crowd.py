"""Many at once, at every isolation level: guests order, owners open and close, restaurants come, orders are paused.

What must hold: once a pause has said that none is under way, no order is committed until it ends; and accepts_orders is
what the owners have set last.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import psycopg

from tabsync.workspace import Workspace
from tests.postgres.orders.shop import LEVELS, ORDER, RESTAURANTS, TOGGLE, accepting, add, run

GUESTS = 8
_HOLDS = (0.0, 0.0, 0.05, 0.6)  # seconds: longer than it takes to pause, or nobody would be waited for
_COUNT = """
select count(*) from orders o join restaurants r on r.id = o.restaurant_id
 where %(slug)s::text is null or r.slug = %(slug)s
"""


@dataclass
class Crowd:
    """Those who are at it. set_by_owners: what they set last; ended: how the guests' transactions ended."""

    conninfo: str
    draw: random.Random
    over: threading.Event = field(default_factory=threading.Event)
    set_by_owners: dict[str, bool] = field(default_factory=lambda: dict.fromkeys(RESTAURANTS, True))
    ended: Counter[str] = field(default_factory=Counter)
    errors: list[str] = field(default_factory=list)
    paused: Counter[str] = field(default_factory=Counter)

    @contextmanager
    def at_it(self) -> Iterator[None]:
        """From now on, until the end of the block."""
        work: list[Callable[[random.Random], None]] = [*[self._guest] * GUESTS, self._owner, self._founder]
        threads = [threading.Thread(target=self._safely, args=(one, self.draw.random())) for one in work]
        for one in threads:
            one.start()
        try:
            yield
        finally:
            self.over.set()
            for one in threads:
                one.join()

    def rounds(self, workspace: Workspace, count: int) -> list[str]:
        """Pause and resume so often; gives what was wrong."""
        wrong: list[str] = []
        with psycopg.connect(self.conninfo, autocommit=True) as watch, self.at_it():
            for _ in range(count):
                slug = self.draw.choice([None, *RESTAURANTS])
                values = {"restaurant": slug} if slug else {}
                self._until_one_more(watch, None)
                page = run(workspace, "orders pause", wait="2min", **values)
                if not page.data["drained"]:
                    wrong.append(f"not drained: {page.data['still']}")
                before = _orders(watch, slug)
                time.sleep(self.draw.uniform(0.3, 0.6))
                after = _orders(watch, slug)
                if before != after:
                    wrong.append(
                        f"{after - before} orders came in at {slug or 'all'} after it was said that none would"
                    )
                run(workspace, "orders resume", **values)
                self.paused[slug or "all"] += 1
        with psycopg.connect(self.conninfo) as watch:
            there = {slug: open_ for slug, open_ in accepting(watch).items() if slug in self.set_by_owners}
        if there != self.set_by_owners:
            wrong.append(f"accepts_orders is {there}, and the owners set {self.set_by_owners}")
        return wrong + self.errors

    def _until_one_more(self, watch: psycopg.Connection, slug: str | None) -> None:
        """Until orders come in."""
        before = _orders(watch, slug)
        while _orders(watch, slug) == before and not self.errors:
            time.sleep(0.01)

    def _guest(self, draw: random.Random) -> None:
        with psycopg.connect(self.conninfo, application_name="guest") as session:
            while not self.over.is_set():
                session.isolation_level = draw.choice(LEVELS)
                try:
                    session.execute("select count(*) from restaurants")
                    time.sleep(draw.choice(_HOLDS))
                    slug = draw.choice(RESTAURANTS)
                    if draw.random() < 0.05:
                        slug = f"{threading.get_ident()}-{draw.getrandbits(60)}"
                        add(session, slug)
                    session.execute(ORDER, [slug])
                    time.sleep(draw.choice(_HOLDS))
                    session.commit()
                    self.ended["let in"] += 1
                except psycopg.Error as error:
                    self.ended[error.sqlstate or "lost"] += 1
                    session.rollback()

    def _owner(self, draw: random.Random) -> None:
        with psycopg.connect(self.conninfo, autocommit=True) as session:
            session.execute("set lock_timeout = '100ms'")
            while not self.over.wait(draw.uniform(0.0, 0.05)):
                slug, to = draw.choice(RESTAURANTS), draw.random() < 0.8
                try:
                    session.execute(TOGGLE, [to, slug])
                except psycopg.errors.LockNotAvailable:
                    continue
                self.set_by_owners[slug] = to

    def _founder(self, draw: random.Random) -> None:
        with psycopg.connect(self.conninfo, autocommit=True) as session:
            number = 0
            while not self.over.wait(draw.uniform(0.0, 0.2)):
                number += 1
                add(session, f"new-{number}")

    def _safely(self, work: Callable[[random.Random], None], seed: float) -> None:
        try:
            work(random.Random(seed))
        except Exception as error:  # noqa: BLE001 - it is what the test is about
            self.errors.append(f"{work.__name__}: {error!r}")


def told(crowd: Crowd) -> Mapping[str, int]:
    """How often what happened."""
    return {**crowd.ended, **{f"paused {name}": count for name, count in crowd.paused.items()}}


def _orders(watch: psycopg.Connection, slug: str | None) -> int:
    row = watch.execute(_COUNT, {"slug": slug}).fetchone()
    return int(row[0]) if row else 0
