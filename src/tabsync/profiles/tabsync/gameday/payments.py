"""The game day "payments": Stripe fails, somebody is told, orders are paused, it is back, and all is as it was."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any, Protocol

import psycopg

from tabsync.kernel.gameday import GameDay, Part, Played, Say
from tabsync.kernel.step import Facts
from tabsync.profiles.tabsync.gameday.gateway import Gateways, gateways
from tabsync.profiles.tabsync.gameday.till import CARD, Till
from tabsync.profiles.tabsync.traffic import Traffic

RUNBOOK = "All payments failing"
METRIC = "Failed payments"
_ALERT = 240.0  # seconds for the first message
_FEW = 60.0  # seconds in which a payment is tried, or an order comes
_WORSE = "worse than usual"
_TRIED = 5  # orders that are refused before it is believed that none gets in
_RATE = 25.0  # scenes per second
_OWNER_CHANGES = """
update restaurants set accepts_orders = not accepts_orders where slug = (select min(slug) from restaurants)
"""
_OPERATOR = "tabsync_operator"
_RIGHTS = (
    "grant select, insert, update on order_pauses, order_gate to {role}",
    "grant update on restaurants to {role}",
)


class Told(Protocol):
    """Who is told."""

    def first(self, about: str, seconds: float) -> tuple[float, str] | None:
        """The first message with some words in it."""
        ...


class Ground(Protocol):
    """What this game day needs of its ground: a server with the profile's schema, and the program to run on it."""

    config: Path
    told: Told

    def application(self) -> str:
        """A connection string of the application."""
        ...

    def superuser(self) -> str:
        """A connection string of the owner of the server."""
        ...

    def command(self, *words: str) -> CompletedProcess[str]:
        """Run a command as a person would."""
        ...

    def go_through(
        self,
        played: Played,
        runbook: str,
        values: Mapping[str, str],
        answers: Mapping[str, Callable[[Facts], Sequence[str]]],
    ) -> None:
        """Go through a runbook to its end."""
        ...


@dataclass(slots=True)
class Scene:
    """What is going on. traffic: guests who order and pay; gates: the gateways that they pay through."""

    ground: Ground
    gates: Gateways
    traffic: Traffic
    owners: dict[str, bool]

    def ask(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Ask the database as its owner."""
        with psycopg.connect(self.ground.superuser(), autocommit=True) as owner:
            found = owner.execute(statement.encode(), values or None)
            return found.fetchall() if found.description else []

    def orders_since(self, moment: object) -> int:
        """How many orders came in since then."""
        return int(self.ask("select count(*) from orders where created_at > %s", moment)[0][0])

    def json(self, *words: str) -> Facts:
        """What a command says to programs."""
        ran = self.ground.command(*words, "--json")
        try:
            found: Facts = json.loads(ran.stdout)
        except ValueError:
            return {"error": ran.stderr.strip()[-300:]}
        return found


def stripe_fails(ground: Ground, _real_time: bool, say: Say) -> Played:
    """Stripe answers each payment with an error: from the first one to orders that come in as before."""
    played = Played()
    with _going_on(ground) as scene:
        say("Guests order and pay; now Stripe fails")
        scene.gates.down = True
        began = time.monotonic()
        message = ground.told.first(METRIC, _ALERT)
        if message is None:
            played.wrong.append(f"nobody was told of {METRIC} within {_ALERT:.0f} s")
            return played
        played.detect = message[0] - began
        say(f"Told after {played.detect:.1f} s; going through the runbook {RUNBOOK!r}")
        scene.gates.admitted = True
        _diagnose(scene, played, message[0])
        ground.go_through(played, RUNBOOK, {}, {"Wait until payments work": lambda _: _meanwhile(scene, played, say)})
        played.recover = time.monotonic() - message[0]
        _check(scene, played)
    _no_card(ground, played)
    return played


@contextmanager
def _going_on(ground: Ground) -> Iterator[Scene]:
    log = ground.config.parent / "backend.log"
    log.touch()
    with gateways() as gates:
        reading = json.dumps(["cat", str(log)])
        with ground.config.open("a", encoding="utf-8") as config:
            config.write(f'[app.backend]\nkind = "command"\nlogs = {reading}\n')
            config.write(f'[tabsync]\nstripe_status = "{gates.status_page}"\n')
        traffic = Traffic(ground.application(), seed=1, rate=_RATE, declined=Till(gates.port, log).charge)
        scene = Scene(ground, gates, traffic, {})
        for statement in _RIGHTS:
            scene.ask(statement.format(role=_OPERATOR))
        traffic.start()
        try:
            yield scene
        finally:
            traffic.stop()


def _diagnose(scene: Scene, played: Played, told_at: float) -> None:
    """The command names the gateway that fails, and not the other one."""
    said = scene.json("payments", "failures", "--since", "1h")
    played.diagnose = time.monotonic() - told_at
    played.cause = str(said.get("line") or said)
    worse = [one["gateway"] for one in said.get("gateways", []) if one["gateway"] and one["verdict"] == _WORSE]
    played.facts["worse"] = worse
    if worse != ["stripe"]:
        played.wrong.append(f"worse than usual is {worse or 'nothing'} and not stripe: {played.cause}")


def _meanwhile(scene: Scene, played: Played, say: Say) -> Sequence[str]:
    """While orders are paused: none comes in, owners close and open, and then the gateway is back."""
    (paused_at,) = scene.ask("select clock_timestamp()")[0]
    say("Orders are paused; owners go on working, and Stripe comes back")
    scene.ask(_OWNER_CHANGES)
    scene.owners = _as_owners_have_it(scene)
    refused = scene.traffic.counts()["orders_refused"]
    if not _until(lambda: scene.traffic.counts()["orders_refused"] >= refused + _TRIED):
        played.wrong.append(f"no {_TRIED} guests tried to order within {_FEW:.0f} s")
    if came := scene.orders_since(paused_at):
        played.wrong.append(f"{came} orders came in while they were paused")
    scene.gates.down = False
    return "--done", "Stripe takes payments again"


def _as_owners_have_it(scene: Scene) -> dict[str, bool]:
    return dict(scene.ask("select id::text, accepts_orders from restaurants"))


def _check(scene: Scene, played: Played) -> None:
    """Restaurants are as their owners have set them, and orders come in again."""
    now = _as_owners_have_it(scene)
    if not scene.owners or now != scene.owners:
        played.wrong.append("accepts_orders of the restaurants is not what their owners have set")
    (resumed,) = scene.ask("select clock_timestamp()")[0]
    if not _until(lambda: scene.orders_since(resumed) > 0):
        played.wrong.append(f"no order came in within {_FEW:.0f} s after they were taken again")
    if scene.json("orders", "status").get("paused"):
        played.wrong.append("orders status says that something is paused still")


def _until(so: Callable[[], bool]) -> bool:
    """Whether something became so in time."""
    until = time.monotonic() + _FEW
    while not so():
        if time.monotonic() > until:
            return False
        time.sleep(0.2)
    return True


def _no_card(ground: Ground, played: Played) -> None:
    """The number of the card that the till has kept is in nothing that we have written."""
    with suppress(psycopg.Error), psycopg.connect(ground.superuser()) as owner:
        planted = owner.execute("select count(*) from payments where metadata ->> 'card_number' = %s", [CARD])
        if planted.fetchone() == (0,):
            played.wrong.append("no card was kept with a payment: that it is seen nowhere proves nothing")
    for file in sorted(ground.config.parent.rglob("*")):
        if file.is_file() and file.name != "backend.log" and "servers" not in file.parts and _has_card(file):
            played.wrong.append(f"the number of a card is in {file.name}")
    if CARD in json.dumps(played.to_json()):
        played.wrong.append("the number of a card is in what came of this game day")


def _has_card(file: Path) -> bool:
    return CARD.encode() in file.read_bytes()


GAME_DAY: GameDay[Ground] = GameDay(
    "payments",
    "Payments fail",
    RUNBOOK,
    METRIC,
    (Part("stripe", "Stripe answers each payment with an error", stripe_fails),),
    changes=(
        (
            "Failed payments just now < 10 % for 2 min within 15 min",
            "Failed payments just now < 10 % for 3 s within 60 s",
        ),
        ("created_at > now() - interval '5 minutes'", "created_at > now() - interval '5 seconds'"),
    ),
)
