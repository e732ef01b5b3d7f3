"""Random interleavings of pauses, owners, clients and time on a real server, against a model of who may order when.

One thread does everything, so that the model knows what has been committed when each statement begins. Each commit has
a number; a client that keeps its snapshot sees those up to the number at which it took it.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field
from datetime import datetime

import psycopg
from psycopg import IsolationLevel

from tabsync.profiles.tabsync.orders.drain import drain
from tabsync.profiles.tabsync.orders.pause import pause
from tabsync.profiles.tabsync.orders.resume import resume
from tabsync.workspace import Workspace
from tests.postgres.orders.shop import LEVELS, TOGGLE, Conn, accepting, add, order, step_context, target_of

REFUSED, RETRY = "TS001", "40001"


@dataclass
class Restaurant:
    """added: at which commit, None while only its founder sees it; changed: by its owner, at which commit."""

    id: str
    added: int | None
    accepts: bool = True
    changed: int = 0
    orders: int = 0


@dataclass
class Pause:
    """slug: None for all; made, gate, ended: at which commits (gate: None while it was held)."""

    id: int
    slug: str | None
    ends_at: datetime
    made: int
    ended: int | None = None


@dataclass
class Client:
    """A session. snapshot: the commit up to which it sees, None outside of a transaction; let_in: its orders so far."""

    connection: Conn
    level: IsolationLevel = LEVELS[0]
    snapshot: int | None = None
    let_in: list[str] = field(default_factory=list)
    founded: dict[str, Restaurant] = field(default_factory=dict)

    @property
    def keeps(self) -> bool:
        """Whether it keeps its snapshot."""
        return self.level is not LEVELS[0]


class Model:
    """What has been done, what is known of it, and what was wrong."""

    def __init__(self, workspace: Workspace, admin: Conn, clients: list[Conn], draw: random.Random) -> None:
        self.workspace, self.admin, self.draw = workspace, admin, draw
        self.clients = [Client(one) for one in clients]
        self.target = target_of(workspace.conninfo)
        self.commits = 0
        self.gate = 0
        self.pauses: list[Pause] = []
        self.wrong: list[str] = []
        self.seen: dict[str, int] = {}
        self.runs = self.founded = 0
        found = admin.execute("select slug, id::text from restaurants").fetchall()
        self.shops = {slug: Restaurant(key, 0) for slug, key in found}
        admin.execute("set lock_timeout = '20ms'")

    def play(self, moves: int) -> list[str]:
        """Make so many moves; gives what was wrong."""
        chosen = [self.begin, self.order, self.end, self.toggle, self.found, self.pause, self.resume]
        weights = [10, 15, 12, 4, 3, 6, 4]
        for _ in range(moves):
            self.draw.choices(chosen, weights)[0]()
            if self.draw.random() < 0.05:
                time.sleep(self.draw.uniform(0.0, 0.2))
        for one in self.clients:
            self._finish(one, keep=True)
        return self.wrong + self._differences()

    def begin(self) -> None:
        """A client begins a transaction, and has a snapshot from then on if it is one that keeps it."""
        one = self.draw.choice(self.clients)
        if one.snapshot is None:
            one.level = self.draw.choice(LEVELS)
            one.connection.isolation_level = one.level
            one.connection.execute("select count(*) from restaurants")
            one.snapshot = self.commits

    def order(self) -> None:
        """A client in a transaction orders somewhere that it sees."""
        open_ones = [one for one in self.clients if one.snapshot is not None]
        if not open_ones:
            return
        one = self.draw.choice(open_ones)
        slug = self.draw.choice(self._visible(one))
        before = self._clock()
        came = order(one.connection, slug)
        may = self._expected(one, slug, before, self._clock())
        self._note(f"{one.level.name} {came or 'let in'}")
        if came not in may:
            self.wrong.append(f"{one.level.name} in {slug}: {came or 'let in'}, not {may}; {self.pauses}")
        if came == "":
            one.let_in.append(slug)

    def end(self) -> None:
        """A client commits, or rolls back."""
        self._finish(self.draw.choice(self.clients), keep=self.draw.random() < 0.7)

    def toggle(self) -> None:
        """An owner closes or opens, unless an order under way keeps the row."""
        slug = self.draw.choice([name for name, one in self.shops.items() if one.added is not None])
        to = self.draw.random() < 0.6
        held = any(slug in one.let_in for one in self.clients)
        try:
            self.admin.execute(TOGGLE, [to, slug])
        except psycopg.errors.LockNotAvailable:
            if not held:
                self.wrong.append(f"the owner of {slug} had to wait for nobody's order")
            return
        if held:
            self.wrong.append(f"the owner of {slug} did not wait for an order under way")
        self.commits += 1
        self.shops[slug].accepts, self.shops[slug].changed = to, self.commits

    def found(self) -> None:
        """A restaurant is added: at once, or within a client's transaction, where nobody else sees it."""
        self.founded += 1
        slug = f"new-{self.founded}"
        one = self.draw.choice([None, *(each for each in self.clients if each.snapshot is not None)])
        connection = one.connection if one else self.admin
        try:
            with connection.transaction():
                add(connection, slug)
        except psycopg.errors.SerializationFailure:
            if one is None or one.level is not IsolationLevel.SERIALIZABLE:
                self.wrong.append(f"{slug} could not be added")
            return
        if one is None:
            self.commits += 1
        shop = Restaurant("", self.commits if one is None else None)
        self.shops[slug] = shop
        if one:
            one.founded[slug] = shop

    def pause(self) -> None:
        """Somebody pauses, and does not wait."""
        public = [name for name, one in self.shops.items() if one.added is not None]
        slug = self.draw.choice([None, None, *public])
        seconds = self.draw.choice([0.2, 1.0, 1000.0])
        shop = self._told(slug)
        self.runs += 1
        context = step_context(self.workspace, f"run {self.runs}")
        made = pause(context, target=self.target, restaurant=shop, seconds=seconds, reason="model")
        self.commits += 1
        self.pauses.append(Pause(made["id"], slug, datetime.fromisoformat(made["ends_at"]), self.commits))
        before = self._clock()
        facts = drain(context, target=self.target, restaurant=shop, wait=0.0)
        self._check_ended(slug, bool(facts["ended"]), before)
        self._check_drained(slug, facts)

    def resume(self) -> None:
        """Somebody ends the pauses of all restaurants, or those of one."""
        standing = [one for one in self.pauses if one.ended is None]
        if not standing:
            return
        slug = self.draw.choice(standing).slug
        ending = [one for one in standing if one.slug == slug]
        shop, ids = self._told(slug), [one.id for one in ending]
        resume(step_context(self.workspace, "x"), target=self.target, restaurant=shop, ids=ids)
        self.commits += 1
        for one in ending:
            one.ended = self.commits

    def _check_ended(self, slug: str | None, ended: bool, before: datetime) -> None:
        ends = [one.ends_at for one in self.pauses if one.slug in (None, slug) and one.ended is None]
        self._note("ended by its time" if ended else "stands")
        if (ended and max(ends) > self._clock()) or (not ended and max(ends) <= before):
            self.wrong.append(f"ended {ended} at {slug}, with pauses until {ends}, looked at from {before}")

    def _check_drained(self, slug: str | None, facts: dict[str, object]) -> None:
        here = [one for one in self.clients if any(slug in (None, name) for name in one.let_in)]
        held = any(one.keeps and one.let_in for one in self.clients)
        if not held:
            self.commits += 1
            self.gate = self.commits
        drained = bool(facts["drained"])
        self._note("drained" if drained else "not drained")
        if drained != (not here and not held and not facts["ended"]):
            self.wrong.append(
                f"drained {drained} at {slug}, with {[(one.level.name, one.let_in) for one in self.clients]}"
            )
        named = {one["pid"] for one in facts["still"]}  # type: ignore[attr-defined]
        if not drained and not {one.connection.info.backend_pid for one in here} <= named:
            self.wrong.append(f"who may still order was not named: {facts['still']}")

    def _expected(self, one: Client, slug: str, before: datetime, after: datetime) -> set[str]:
        shop = self.shops[slug]
        sees = one.snapshot if one.keeps and one.snapshot is not None else self.commits
        also = {RETRY} if one.level is IsolationLevel.SERIALIZABLE else set()
        if shop.changed > sees:
            return {RETRY}
        visible = [
            each
            for each in self.pauses
            if each.slug in (None, slug) and each.made <= sees and (each.ended is None or each.ended > sees)
        ]
        if not shop.accepts or any(each.ends_at > after for each in visible):
            return {REFUSED, *also}
        let_in = RETRY if one.keeps and self.gate > sees else ""
        return {let_in, *also, *([REFUSED] if any(each.ends_at > before for each in visible) else [])}

    def _visible(self, one: Client) -> list[str]:
        sees = one.snapshot if one.keeps and one.snapshot is not None else self.commits
        return [
            name
            for name, shop in self.shops.items()
            if name in one.founded or (shop.added is not None and shop.added <= sees)
        ]

    def _finish(self, one: Client, *, keep: bool) -> None:
        if one.snapshot is None:
            return
        try:
            if keep:
                one.connection.commit()
        except psycopg.errors.SerializationFailure:
            keep = False
            if one.level is not IsolationLevel.SERIALIZABLE:
                self.wrong.append(f"a commit failed in {one.level.name}")
        one.connection.rollback()
        if keep:
            self.commits += 1
            for slug in one.let_in:
                self.shops[slug].orders += 1
            for shop in one.founded.values():
                shop.added = self.commits
        else:
            for slug in one.founded:
                del self.shops[slug]
        one.snapshot, one.let_in, one.founded = None, [], {}

    def _differences(self) -> list[str]:
        counted = "select slug, (select count(*) from orders o where o.restaurant_id = r.id) from restaurants r"
        there = {str(slug): int(count) for slug, count in self.admin.execute(counted).fetchall()}
        wrong = [] if there == {name: one.orders for name, one in self.shops.items()} else [f"orders: {there}"]
        if accepting(self.admin) != {name: one.accepts for name, one in self.shops.items()}:
            wrong.append(f"accepts_orders is not what the owners set: {accepting(self.admin)}")
        return wrong

    def _told(self, slug: str | None) -> dict[str, str] | None:
        if slug is None:
            return None
        row = self.admin.execute("select id::text from restaurants where slug = %s", [slug]).fetchone()
        assert row is not None
        return {"id": row[0], "slug": slug, "name": slug}

    def _clock(self) -> datetime:
        row = self.admin.execute("select clock_timestamp()").fetchone()
        assert row is not None
        found: datetime = row[0]
        return found

    def _note(self, what: str) -> None:
        self.seen[what] = self.seen.get(what, 0) + 1
