"""The audit log: what sealing and verifying it takes, and what of the application's traffic is left with it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from statistics import median

from tests.audited import install_profile
from tests.servers import running_server
from tests.sessions import connect as connect_as_tests

from benchmarks.measure import Measured
from benchmarks.recovery import Say
from tabsync.audit.database.log import log_of
from tabsync.audit.seals.outside import Outside
from tabsync.audit.seals.seal import anchor_of, sealed
from tabsync.audit.seals.verified import verified
from tabsync.postgres.connect import connect
from tabsync.postgres.embedded import Server
from tabsync.postgres.settings import NO_LIMIT, Limits
from tabsync.profiles.tabsync.generate import generate
from tabsync.profiles.tabsync.migrate import apply_schema

SEALED = 100_000  # rows a second
LEFT = 0.8  # of the traffic at saturation
_ROWS = 1_000_000
_TURNS, _SECONDS = 5, 6
_LIMITS = Limits(statement_timeout=0, idle_in_transaction_timeout=0)

_FILL = """
insert into public.audit_logs (action, entity_type, entity_id, old_value, new_value)
select 'UPDATE', 'Order', gen_random_uuid()::text, '{"status": "CONFIRMED", "updated_at": "2026-11-29T12:00:00+00:00"}',
       '{"status": "DELIVERED", "updated_at": "2026-11-29T12:10:00+00:00"}' from generate_series(1, 10000)
"""
_PLAY = """
import json, sys, time
from tabsync.profiles.tabsync.traffic import Traffic

traffic = Traffic(sys.argv[1], seed=int(sys.argv[2]), rate=1e6, workers=2)
traffic.start()
time.sleep(float(sys.argv[3]))
traffic.stop()
print(json.dumps(traffic.counts()))
"""


def measure_sealing(say: Say) -> list[Measured]:
    """Seconds for a number of rows, as a part of what they may take: below 1 is faster than the bound."""
    say(f"sealing and verifying {_ROWS:,} entries")
    with running_server("bench-sealing", shared_buffers="256MB", synchronous_commit="off") as server:
        _prepare(server, "postgres", audited=True)
        with connect(server.conninfo(), "bench", limits=_LIMITS) as session:
            for _ in range(_ROWS // 10_000):
                session.execute(_FILL)
            session.execute("vacuum analyze public.audit_logs")
            began = time.monotonic()
            seals = list(sealed(session, log_of(session)))
            sealing = sum(one.rows for one in seals) / (time.monotonic() - began)
            began = time.monotonic()
            found = verified(session, Outside(tuple(anchor_of(one) for one in seals)))
            verifying = found["rows"] / (time.monotonic() - began)
            if found["wrong"]:
                raise SystemExit(found["wrong"])
    return [
        Measured(
            f"{what}: {SEALED:,} rows a second, as a part of ours", SEALED / rate, 1.0, "", f" ({rate:,.0f} a second)"
        )
        for what, rate in (("seal", sealing), ("verify", verifying))
    ]


def measure_traffic(say: Say) -> list[Measured]:
    """The application's scenes at saturation, without the audit log and with it, in turns on one server."""
    say("traffic at saturation, without the audit log and with it")
    found: dict[str, list[int]] = {"bare": [], "audited": []}
    with running_server("bench-traffic", shared_buffers="256MB", synchronous_commit="off") as server:
        for name in found:
            with connect_as_tests(server.conninfo(), "bench", limits=NO_LIMIT) as session:
                session.execute(f"create database {name}")
            _prepare(server, name, audited=name == "audited")
        for turn in range(_TURNS):
            for name, counts in found.items():
                counts.append(_played(server, name, turn))
    bare, audited = (median(found[name]) for name in ("bare", "audited"))
    note = f" ({bare / _SECONDS:,.0f} and {audited / _SECONDS:,.0f} scenes a second)"
    return [
        Measured(f"{LEFT} of the traffic without it, as a part of what is left", LEFT * bare / audited, 1.0, "", note)
    ]


def _played(server: Server, name: str, turn: int) -> int:
    """The scenes that two processes of two workers each committed."""
    command = [sys.executable, "-c", _PLAY, server.conninfo(name)]
    players = [
        subprocess.Popen([*command, str(10 * turn + one), str(_SECONDS)], stdout=subprocess.PIPE, text=True)
        for one in range(2)
    ]
    counts = [json.loads(one.communicate()[0]) for one in players]
    # At saturation a scene may find the last table taken by another process: it is refused, with and without the log.
    return sum(sum(one.values()) - one["errors"] for one in counts)


def _prepare(server: Server, name: str, *, audited: bool) -> None:
    with connect_as_tests(server.conninfo(name), "bench", limits=NO_LIMIT) as session:
        apply_schema(session)
        generate(session, orders=2_000)
        session.execute("vacuum analyze")
    if audited:
        install_profile(server.conninfo(name))
