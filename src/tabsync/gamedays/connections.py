"""The game day "connections": nobody gets in any more, and the runbook "Connection pool exhausted" makes room."""

from __future__ import annotations

import time
from contextlib import ExitStack, suppress

import psycopg

from tabsync.gamedays import pools
from tabsync.gamedays.ground import Ground, Session
from tabsync.gamedays.runbook import RUNBOOK, run_runbook
from tabsync.kernel.gameday import GameDay, Part, Played, Say

METRIC = "Active connections"
_FULL = "53300"  # too_many_connections
_IDLE = 5 * 60.0  # seconds after which the manual ends an idle session
_KEPT = 2  # sessions that must live on: one in a transaction, one that works
_ALERT = 240.0  # seconds for the first message


def _slots_full(ground: Ground, real_time: bool, say: Say) -> Played:
    """All slots are taken by sessions that idle; one is in a transaction, and one works: these must live on."""
    played = Played()
    with ExitStack() as stack:
        say("Taking all connections of the server")
        busy = _busy(ground, stack)
        held = _fill(ground, stack, busy, real_time=real_time, say=say)
        began = time.monotonic()
        say(f"{held} sessions are open, and the next one was refused ({_FULL}); waiting for a message")
        message = ground.told.first(METRIC, _ALERT)
        if message is None:
            played.wrong.append(f"nobody was told of {METRIC} within {_ALERT:.0f} s")
            return played
        played.detect = message[0] - began
        say(f"Told after {played.detect:.1f} s; running the runbook {RUNBOOK!r}")
        run_runbook(ground, played, message[0])
        _check(ground, busy, played)
    return played


def _busy(ground: Ground, stack: ExitStack) -> list[Session]:
    """A session in a transaction, and one that runs a statement for longer than the game day lasts."""
    idle, works = (ground.enter() for _ in range(_KEPT))
    for one in (idle, works):
        stack.callback(_close, one)
    idle.execute("select 1")
    works.execute("set client_connection_check_interval = 1000")  # it ends with us, though it works
    works.commit()
    works.pgconn.send_query(b"select pg_catalog.pg_sleep(3600)")
    return [idle, works]


def _fill(ground: Ground, stack: ExitStack, busy: list[Session], *, real_time: bool, say: Say) -> int:
    """Open sessions until the server refuses one. In real time most of them idle as long as the manual wants."""
    with psycopg.connect(ground.superuser(), autocommit=True) as owner:
        if not ground.copy:
            owner.execute("alter role tabsync_app connection limit -1")
        (row,) = owner.execute("show max_connections").fetchall()
    early = int(str(row[0])) * 7 // 10
    count = len(busy)
    with suppress(psycopg.OperationalError):
        while True:
            opened = ground.enter("backend")
            stack.callback(_close, opened)
            opened.execute("select 1")
            opened.commit()
            count += 1
            if real_time and count == early:
                say(f"{count} sessions are open; the others follow when these have idled for {_IDLE:.0f} s")
                time.sleep(_IDLE)
    return count


def _close(connection: Session) -> None:
    with suppress(psycopg.Error):
        connection.close()


def _check(ground: Ground, busy: list[Session], played: Played) -> None:
    """The application gets in again, and no session was ended that was not idle."""
    try:
        psycopg.connect(ground.application()).close()
    except psycopg.OperationalError as error:
        played.wrong.append(f"the application does not get in: {error}")
    idle, works = busy
    try:
        idle.execute("select 1")
    except psycopg.Error as error:
        played.wrong.append(f"a session in a transaction was ended: {error}")
    works.pgconn.consume_input()
    if not works.pgconn.is_busy():
        played.wrong.append("a session that works was ended")


GAME_DAY = GameDay(
    "connections",
    "Nobody gets in any more",
    RUNBOOK,
    METRIC,
    (
        Part("slots", "All connections of the server are taken (53300)", _slots_full),
        Part("pooler", "The pool of PgBouncer is full", pools.pooler_full, pools.with_pooler, True, pools.needs_pooler),
        Part("application", "The application's own pool is full", pools.application_full),
    ),
    changes=(
        ("connections terminate --idle-for 5min", "connections terminate --idle-for 2s"),
        (f"Recovers: {METRIC} < 80 % for 1 min", f"Recovers: {METRIC} < 80 % for 5 s"),
    ),
)
