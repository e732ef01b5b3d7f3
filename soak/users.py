"""Several who hold the top role take it from each other at once, at whatever isolation level: there is always one left.

They are demoted or disabled; some of it is rolled back, some backends are killed. Afterwards the log has one entry for
each change that was committed, and none for any other.
"""

from __future__ import annotations

import contextlib
import random
from concurrent.futures import ThreadPoolExecutor

import psycopg
from tests.postgres.users import people
from tests.servers import running_server

from soak.part import Figures, Part, Say

ROUNDS = 200
WORKERS = 5
_LEVELS = tuple(psycopg.IsolationLevel)[1:]
_DISABLE = "select tabsync_audit.disable_user_as(%(target)s, true, %(actor)s, 'password', 'soak')"
_DEMOTE = "select tabsync_audit.change_role_as(%(target)s, null, 'CONSULTANT', %(actor)s, 'password', 'soak')"
_LEFT = "select count(*) from users where role = 'SUPER_ADMIN' and disabled_at is null"


def run(part: Part, say: Say) -> None:
    """Each isolation level, and all of them mixed; raises SystemExit where nobody was left, or an entry is missing."""
    with running_server("soak-users", max_connections="30") as server:
        for levels in (*((one,) for one in _LEVELS), _LEVELS):
            name = "mixed" if len(levels) > 1 else levels[0].name.lower().replace("_", " ")
            if name in part.done:
                continue
            found = _level(server.conninfo(), levels, random.Random(f"{part.seed}/{name}"))
            say(f"{name}: {found}")
            if found["rounds with nobody left"] != "0" or found["entries"] != found["committed"]:
                raise SystemExit(f"{name}: {found}")
            part.finish(name, found)


def _level(conninfo: str, levels: tuple[psycopg.IsolationLevel, ...], draw: random.Random) -> Figures:
    with psycopg.connect(conninfo, autocommit=True) as session:
        session.execute("drop database if exists soak with (force)")
        session.execute("create database soak")
    shop = psycopg.conninfo.make_conninfo(conninfo, dbname="soak")
    people.prepare(shop)
    committed, nobody, refused = 0, 0, 0
    with psycopg.connect(shop, autocommit=True) as watch, ThreadPoolExecutor(WORKERS) as pool:
        for number in range(WORKERS - 2):
            watch.execute(
                "insert into users (email, full_name, role) values (%s, %s, 'SUPER_ADMIN')",
                (f"more{number}@example.com", f"more{number}"),
            )
        keys = [row[0] for row in watch.execute("select id::text from users where role = 'SUPER_ADMIN' order by id")]
        for _ in range(ROUNDS):
            watch.execute(
                "update users set role = 'SUPER_ADMIN', disabled_at = null where id::text = any (%s)", (keys,)
            )
            seeds = [draw.random() for _ in keys]
            done = list(pool.map(lambda seed: _take(shop, keys, levels, random.Random(seed)), seeds))
            committed += sum(one == "done" for one in done)
            refused += sum(one == "TS001" for one in done)
            (left,) = watch.execute(_LEFT).fetchone() or (0,)
            nobody += left == 0
        written = "select count(*) from audit_logs where origin = 'function'"
        (entries,) = watch.execute(written).fetchone() or (0,)
    return {
        "rounds": str(ROUNDS),
        "rounds with nobody left": str(nobody),
        "committed": str(committed),
        "entries": str(entries),
        "refused by the rules": str(refused),
    }


def _take(conninfo: str, keys: list[str], levels: tuple[psycopg.IsolationLevel, ...], draw: random.Random) -> str:
    """One who takes the role of another one; gives how it ended."""
    actor, target = draw.sample(keys, 2)
    ended = "done"
    with contextlib.suppress(psycopg.OperationalError), psycopg.connect(conninfo, autocommit=True) as session:
        session.isolation_level = draw.choice(levels)
        try:
            with session.transaction():
                session.execute("select count(*) from users")  # the snapshot is from before the others' changes
                session.execute(_DISABLE if draw.random() < 0.3 else _DEMOTE, {"target": target, "actor": actor})
                if draw.random() < 0.1:
                    ended = "rolled back"
                    raise psycopg.Rollback
                if draw.random() < 0.05:
                    ended = "killed"
                    session.execute("select pg_terminate_backend(pg_backend_pid())")
        except psycopg.Error as error:
            return error.sqlstate or ended
    return ended
