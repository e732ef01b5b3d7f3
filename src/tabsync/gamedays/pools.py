"""Two conditions that look alike to an application: the pooler's pool is full, or its own is."""

from __future__ import annotations

import json
import threading
import time
from contextlib import ExitStack, suppress

import psycopg

from tabsync.gamedays.ground import Ground
from tabsync.gamedays.pooler import POOL, pooling, program
from tabsync.gamedays.runbook import RUNBOOK, diagnose, run_runbook
from tabsync.kernel.gameday import Played, Say

METRIC = "Pooler clients waiting"
_ALERT = 240.0  # seconds for the first message
_CAUSE = "pooler pool full"
_OWN = "application pool"

_WAITING = f"""#### {METRIC}

Unit: count of clients
Every: 1 s
Source: pooler clients waiting

Who waits at the pooler for a connection to the server.

"""
_ROW = f"| {METRIC} | > 0 | > 10 | 5 s | Find who holds the pool | Connection pool exhausted |\n"


def needs_pooler() -> str:
    """What is missing for a pooler."""
    return "" if program() else "PgBouncer is not installed"


def with_pooler(manual: str) -> str:
    """A manual that watches the pooler too, and whose runbook is for it."""
    text = manual.replace("#### Active connections\n", f"{_WAITING}#### Active connections\n", 1)
    text = text.replace("| Active connections | >", f"{_ROW}| Active connections | >", 1)
    line = f"Recovers: {METRIC} < 1 for 5 s within 20 s\n"
    return text.replace("Recovers: Active connections", f"{line}Recovers: Active connections", 1)


def pooler_full(ground: Ground, _real_time: bool, say: Say) -> Played:
    """All connections of the pool are held by transactions that idle, and somebody waits: one transaction is ended."""
    played = Played()
    with ExitStack() as stack:
        through = stack.enter_context(pooling(ground))
        say("Holding all connections of the pool in transactions")
        held = [psycopg.connect(through, prepare_threshold=None) for _ in range(POOL)]
        for one in held:
            stack.callback(_close, one)
            one.execute("select 1 from orders limit 1")
        waiter = _Waiter(through)
        stack.callback(waiter.ends)
        began = time.monotonic()
        message = ground.told.first(METRIC, _ALERT)
        if message is None:
            played.wrong.append(f"nobody was told of {METRIC} within {_ALERT:.0f} s")
            return played
        played.detect = message[0] - began
        say(f"Told after {played.detect:.1f} s; looking for who holds the pool")
        run_runbook(ground, played, message[0], "--set", f"pid={_oldest(ground)}")
        _expect(played, _CAUSE)
        if not waiter.came(10):
            played.wrong.append("the client that waited at the pooler did not get a connection")
        living = sum(_lives(one) for one in held)
        if living != POOL - 1:
            played.wrong.append(f"{POOL - living} transactions were ended, not one")
    return played


def application_full(ground: Ground, _real_time: bool, say: Say) -> Played:
    """The application's own pool is in use: the server has room, and nothing is ended."""
    from sqlalchemy import create_engine, text
    from sqlalchemy.exc import TimeoutError as NoneLeft

    played = Played()
    pool = {"pool_size": 3, "max_overflow": 0, "pool_timeout": 1}
    engine = create_engine("postgresql+psycopg://", creator=ground.enter, **pool)
    with ExitStack() as stack:
        stack.callback(engine.dispose)
        say("Using all connections of an application's own pool")
        used = [stack.enter_context(engine.connect()) for _ in range(3)]
        pids = [one.execute(text("select pg_backend_pid()")).scalar_one() for one in used]
        began = time.monotonic()
        try:
            engine.connect()
        except NoneLeft as error:
            message = f"sqlalchemy.exc.TimeoutError: {error}"
        else:
            played.wrong.append("the application's pool was not full")
            return played
        say("No alert can see this; pasting what the application says")
        diagnose(ground, played, began, message)
        _expect(played, _OWN)
        found = ground.command("runbook", "find", message, "--json")
        fits = [one["runbook"] for one in json.loads(found.stdout)["fits"]] if found.stdout else []
        if fits[:1] != [RUNBOOK]:
            played.wrong.append(f"the message leads to {fits[:1] or 'no runbook'}")
        ground.command("runbook", "run", RUNBOOK, "--yes", "--json")
        with psycopg.connect(ground.superuser()) as owner:
            asked = "select count(*) from pg_stat_activity where pid = any(%s)"
            (living,) = owner.execute(asked, [pids]).fetchone() or (0,)
        if living != len(pids):
            played.wrong.append(f"{len(pids) - int(str(living))} sessions were ended, which could help nobody")
    return played


def _expect(played: Played, cause: str) -> None:
    causes = played.facts.get("causes", [])
    if not any(cause in one for one in causes):
        played.wrong.append(f"the cause was named otherwise: {', '.join(causes) or 'not at all'}")


def _oldest(ground: Ground) -> str:
    """The session that has been idle in a transaction for longest, as connections show lists it."""
    with psycopg.connect(ground.superuser()) as owner:
        asked = "select pid from pg_stat_activity where state = 'idle in transaction' and datname = current_database()"
        row = owner.execute(f"{asked} order by state_change limit 1".encode()).fetchone()
    return str(row[0]) if row else "0"


def _lives(connection: psycopg.Connection[tuple[object, ...]]) -> bool:
    with suppress(psycopg.Error):
        connection.execute("select 1")
        return True
    return False


def _close(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    with suppress(psycopg.Error):
        connection.close()


class _Waiter:
    """A client that waits at the pooler for a connection to the server."""

    def __init__(self, conninfo: str) -> None:
        self._came = threading.Event()
        self._thread = threading.Thread(target=self._wait, args=(conninfo,), daemon=True)
        self._thread.start()

    def came(self, seconds: float) -> bool:
        """Whether it got one."""
        return self._came.wait(seconds)

    def ends(self) -> None:
        """Wait for its end."""
        self._thread.join(5)

    def _wait(self, conninfo: str) -> None:
        with suppress(psycopg.Error), psycopg.connect(conninfo, prepare_threshold=None) as connection:
            connection.execute("select 1")
            self._came.set()
