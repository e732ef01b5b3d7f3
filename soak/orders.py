"""Orders are paused while everybody is at it: random interleavings against a model, crowds, and kills at any moment."""

from __future__ import annotations

import random
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg
from tests.place import fast_place
from tests.postgres.cli.program import TABSYNC, environment
from tests.postgres.orders.crowd import Crowd, told
from tests.postgres.orders.model import Model
from tests.postgres.orders.shop import RESTAURANTS, accepting, order, prepare_shop, settings_in
from tests.postgres.orders.shop import run as carry_out
from tests.servers import running_server_of

from soak.part import Figures, Part, Say
from tabsync.postgres.embedded import Server
from tabsync.postgres.installation import installations
from tabsync.procedures import use
from tabsync.profiles.tabsync import PROFILE_MANUAL
from tabsync.system.profiles import load_profile
from tabsync.workspace import Workspace
from tests import forked

VERSIONS = (15, 17, 18)
SEEDS, MOVES, ROUNDS, KILLS = 20, 200, 60, 60


def run(part: Part, say: Say) -> None:
    """All three on each version; raises SystemExit with the first thing that is not as it should be."""
    use(load_profile("tabsync"))
    for major in VERSIONS:
        installation = next(one for one in installations() if one.major == major and one.has_server)
        with running_server_of(installation, "soak-orders", {"max_connections": "60", "fsync": "off"}) as server:
            for name, what in (("model", _model), ("crowd", _crowd), ("killed", _killed)):
                key = f"{name}, PostgreSQL {major}"
                if key not in part.done:
                    found = what(server, random.Random(f"{part.seed}/{major}"))
                    say(f"{key}: {found}")
                    part.finish(key, found)


def _model(server: Server, draw: random.Random) -> Figures:
    seen: Counter[str] = Counter()
    for _ in range(SEEDS):
        with _shop(server) as workspace, ExitStack() as stack:
            clients = [stack.enter_context(psycopg.connect(workspace.conninfo)) for _ in range(4)]
            admin = stack.enter_context(psycopg.connect(workspace.conninfo, autocommit=True))
            model = Model(workspace, admin, clients, draw)
            if wrong := model.play(MOVES):
                raise SystemExit("\n".join(wrong))
            seen.update(model.seen)
    pauses = seen.pop("drained") + seen.pop("not drained")
    return {
        "pauses": str(pauses),
        "orders let in": str(sum(count for what, count in seen.items() if what.endswith("let in"))),
        "orders refused": str(sum(count for what, count in seen.items() if not what.endswith("let in"))),
        "not as they should be": "0",
    }


def _crowd(server: Server, draw: random.Random) -> Figures:
    with _shop(server) as workspace:
        crowd = Crowd(workspace.conninfo, draw)
        if wrong := crowd.rounds(workspace, ROUNDS):
            raise SystemExit("\n".join(wrong))
    refused = sum(count for what, count in told(crowd).items() if what in ("TS001", "40001"))
    return {
        "pauses": str(ROUNDS),
        "orders let in": str(crowd.ended["let in"]),
        "orders refused": str(refused),
        "not as they should be": "0",
    }


def _killed(server: Server, draw: random.Random) -> Figures:
    """`orders pause`, killed at any moment: it is paused once, or not."""
    paused = killed = 0
    with _shop(server) as workspace, psycopg.connect(workspace.conninfo, autocommit=True) as watch:
        directory = workspace.home.parent
        settings_in(directory, workspace.conninfo)
        usual = _usual(directory)
        carry_out(workspace, "orders resume")
        for number in range(KILLS):
            reason = f"kill {number}"
            killed += _pause_killed(directory, reason, draw.uniform(0.1, 1.1) * usual)
            (there,) = watch.execute("select count(*) from order_pauses where reason = %s", [reason]).fetchone() or (9,)
            came = {order(watch, one) for one in RESTAURANTS}
            if there > 1 or came != ({"TS001"} if there else {""}):
                raise SystemExit(f"{reason}: {there} rows, and orders gave {came}")
            paused += there
            carry_out(workspace, "orders resume")
        if not 0 < paused < KILLS:
            raise SystemExit(f"{paused} of {KILLS} had paused when they were killed: that shows nothing")
        if accepting(watch) != dict.fromkeys(RESTAURANTS, True):
            raise SystemExit(f"accepts_orders: {accepting(watch)}")
    return {"pauses": str(paused), "kills": str(killed), "not as they should be": "0"}


def _usual(directory: Path) -> float:
    """How long it takes, in seconds: the second time, when all is imported."""
    for _ in range(2):
        began = time.monotonic()
        assert not _pause_killed(directory, "usual", 600)
    return time.monotonic() - began


def _pause_killed(directory: Path, reason: str, seconds: float) -> bool:
    try:
        forked.run([TABSYNC, "orders", "pause", "--reason", reason], directory, environment(directory), seconds)
    except subprocess.TimeoutExpired:
        return True
    return False


@contextmanager
def _shop(server: Server) -> Iterator[Workspace]:
    """A fresh shop, and a workspace on it."""
    with psycopg.connect(server.conninfo(), autocommit=True) as session:
        session.execute("drop database if exists shop with (force)")
        session.execute("create database shop")
    prepare_shop(server.conninfo("shop"))
    with tempfile.TemporaryDirectory(prefix="tabsync-soak-", dir=fast_place()) as made:
        home = Path(made) / "home"
        workspace = Workspace(
            home, server.conninfo("shop"), Path(made) / "store", PROFILE_MANUAL, f"sqlite:///{home / 'ledger.sqlite'}"
        )
        try:
            yield workspace
        finally:
            workspace.close()
