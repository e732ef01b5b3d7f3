"""Incidents and the runbooks of our manuals, killed again and again: what they show is what was done."""

from __future__ import annotations

import os
import random
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.conftest import run_sql
from tests.drills import incident_rounds, manual_rounds
from tests.place import fast_place
from tests.servers import running_server
from tests.sessions import connect

from soak.part import Figures, Part, Say
from tabsync.postgres import embedded
from tabsync.profiles.tabsync import PROFILE_MANUAL
from tabsync.profiles.tabsync.generate import generate
from tabsync.profiles.tabsync.migrate import apply_schema
from tabsync.workspace import PLAIN_MANUAL
from tests import audited

KILLS = 150
ROUNDS = 6
"""For each runbook, at most: until each of its steps was killed."""
_WHERE = ("before", "in it", "after", "done before it was killed")


def run(part: Part, say: Say) -> None:
    """Each with its kills; raises SystemExit where something is lost, there twice, or half done."""
    for condition in (*incident_rounds.CONDITIONS, "two people at once"):
        if condition not in part.done:
            _finish(part, say, f"{condition}", *_incidents(condition, f"{part.seed}/{condition}"))
    for name, manual in (("plain", PLAIN_MANUAL), ("profile", PROFILE_MANUAL)):
        for title in manual_rounds.titles(manual):
            if f"{name}: {title}" not in part.done:
                draw = random.Random(f"{part.seed}/{name}/{title}")
                _finish(part, say, f"{name}: {title}", *_runbook(manual, title, draw))


def _finish(part: Part, say: Say, name: str, figures: Figures, wrong: list[str]) -> None:
    say(f"{name}: {figures}")
    if wrong:
        raise SystemExit("\n".join(wrong))
    part.finish(name, figures)


def _incidents(condition: str, seed: str) -> tuple[Figures, list[str]]:
    kills = int(os.environ.get("SOAK_KILLS", KILLS))
    with _directory() as made, incident_rounds.place(made, random.Random(seed)) as place:
        while place.seen["kills"] < kills and not place.wrong:
            if condition in incident_rounds.CONDITIONS:
                place.live((condition,))
            else:
                place.by_two(4)
        seen = place.seen
        figures = {
            "incidents or runbooks": str(seen["incidents"] + seen["of two people"]),
            "kills": str(seen["kills"]),
            **{one: str(seen[one]) if condition in incident_rounds.CONDITIONS else "" for one in _WHERE},
            "steps killed": "",
            "lost, twice or half": str(len(place.wrong)),
        }
        return figures, place.wrong


def _runbook(manual: Path, title: str, draw: random.Random) -> tuple[Figures, list[str]]:
    with _directory() as made, running_server("soak-incidents") as server:
        place = manual_rounds.place(made, manual, _database(server), draw)
        wanted = place.by_us(title)
        for _ in range(ROUNDS):
            if wanted <= place.killed or place.wrong:
                break
            place.live(title, draw.randint(2, 4))
        figures = {
            "incidents or runbooks": str(place.seen["runbooks"]),
            "kills": str(place.seen["kills"]),
            **dict.fromkeys(_WHERE, ""),
            "steps killed": f"{len(wanted & place.killed)} of {len(wanted)}",
            "lost, twice or half": str(len(place.wrong)),
        }
        return figures, place.wrong


def _database(server: embedded.Server) -> str:
    run_sql(server.conninfo(), "create database restaurant")
    shop = server.conninfo("restaurant")
    with connect(shop, "soak", limits=audited.NO_LIMIT) as connection:
        apply_schema(connection)
        generate(connection, orders=300)
    audited.install_profile(shop)
    return shop


@contextmanager
def _directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="tabsync-soak-", dir=fast_place()) as made:
        Path(made).chmod(0o755)
        yield Path(made)
