"""Sixty migrations that fail at each of their statements, in a transaction and without, on each version of PostgreSQL.

What is said to be there is compared with the rows of the catalogs; anything wrong ends the run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import psycopg
from tests.postgres.migrations.corpus import MIGRATIONS
from tests.postgres.migrations.stories import prepare, rolled_back, tell
from tests.servers import running_server_of

from soak.part import Part, Say
from tabsync.postgres.embedded import Server
from tabsync.postgres.installation import installations

MAJORS = (15, 17, 18)
_KINDS = 6  # kinds of statements that are named


def run(part: Part, say: Say) -> None:
    """Each version; raises AssertionError where something is said that is not so."""
    for major in MAJORS:
        name = f"PostgreSQL {major}"
        if name in part.done:
            continue
        told, unknown, looks = Counter[str](), Counter[str](), 0
        installation = next((one for one in installations() if one.major == major and one.has_server), None)
        if installation is None:
            part.finish(name, {"migrations": f"left out: no PostgreSQL {major}"})
            continue
        with running_server_of(installation, "soak-migrations", {}) as server:
            for one in _each(server):
                told, unknown, looks = told + one[0], unknown + one[1], looks + one[2]
        found = {
            "migrations": str(len(MIGRATIONS)),
            "failures looked at": f"{looks:,}",
            "statements told": f"{told.total():,}",
            "can't be told": f"{unknown.total():,}",
            "wrong": "0",
            "most often can't be told": ", ".join(f"{kind} {count}" for kind, count in unknown.most_common(_KINDS)),
        }
        say(f"{name}: {found}")
        part.finish(name, found)


def _each(server: Server) -> Iterator[tuple[Counter[str], Counter[str], int]]:
    """What was told, what could not be, and how often was looked, of each migration."""
    with psycopg.connect(server.conninfo(), autocommit=True) as session:
        session.execute("create database base")
        prepare(server.conninfo("base"))
        for migration in MIGRATIONS:
            session.execute("drop database if exists soak with (force)")
            session.execute("create database soak template base strategy file_copy")
            afterwards = rolled_back(server.conninfo("soak"), migration, each=True)
            story = tell(server.conninfo("soak"), migration)
            for seen in afterwards:
                story.check(seen, 0)
            yield story.told, story.unknown, len(afterwards) + len(story.snapshots)
