"""Nights of the profile's manual, and fourteen days off, in real processes on a small database."""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from psycopg import sql
from tests.clusters import copied
from tests.place import fast_place
from tests.postgres.providers.supabase import serving
from tests.service.nights import BEGIN, DAILY, Nights, Size, stops
from tests.service.place import Home
from tests.sessions import connect

from soak.part import Figures, Part, Say
from tabsync.kernel.clock import iso
from tabsync.postgres import embedded
from tabsync.postgres.installation import installations
from tabsync.postgres.settings import NO_LIMIT
from tabsync.profiles.tabsync import PROFILE_MANUAL
from tabsync.profiles.tabsync.generate import generate
from tabsync.profiles.tabsync.migrate import apply_schema
from tabsync.system.claims import claim

NIGHTS = 33
"""Thirty, and three more: by then the first backups of the critical tables have expired."""

OFF = 14
"""Days without a service."""

_DAY, _NIGHT = timedelta(days=1), timedelta(hours=13)
_INITDB = embedded._initdb
_TOLD = (1, 10, 20, 30)
"""After which nights the figures are written down, besides the last."""


def run(part: Part, say: Say) -> None:
    """Live through the nights; raises SystemExit when one has no proof, or something grows that shouldn't."""
    count = int(os.environ.get("SOAK_NIGHTS", NIGHTS))
    with _nights() as nights:
        sizes: list[Size] = []
        with nights.place.service() as service:
            nights.begin(service)
            for night in range(count):
                began = time.monotonic()
                nights.live(service, BEGIN + night * _DAY, BEGIN + (night + 1) * _DAY)
                sizes.append(nights.size())
                if night + 1 in (*_TOLD, count):
                    figures = _figures(nights, sizes[-1], time.monotonic() - began)
                    say(f"night {night + 1}: {figures}")
                    part.finish(f"night {night + 1}", figures)
            assert service.ends() == 0
        nights.check_proofs(count)
        nights.check_retention(full=90 * _DAY, tables=30 * _DAY)
        nights.check_sizes(sizes[1:])
        part.finish("a year later", _a_year_later(nights))


def _figures(nights: Nights, size: Size, seconds: float) -> Figures:
    proofs = nights.place.rows(
        "select count(*) from evidence where kind = 'drill' and ok = 1 and json_extract(facts, '$.schedule') = ''"
    )
    return {
        "proofs": str(proofs[0][0]),
        "in the store": str(len(nights.backups("azure"))),
        "in the local store": str(len(nights.backups("local"))),
        "stored MB": f"{size.store / 1e6:.1f}",
        "files of the home": str(size.files),
        "MB": f"{size.home / 1e6:.1f}",
        "runs": str(size.rows["run"]),
        "steps": str(size.rows["step"]),
        "evidence": str(size.rows["evidence"]),
        "directories of runs": str(size.scheduled),
        "warm copies": str(size.warm),
        "processes left": str(size.processes),
        "seconds of the night": f"{seconds:.0f}",
    }


def _a_year_later(nights: Nights) -> Figures:
    """What the ledger keeps after its retention."""
    nights.move(BEGIN + 400 * _DAY)
    before = nights.size()
    done = nights.place.run("ledger", "prune", "--apply", "--yes")
    if done.code != 0:
        raise SystemExit(done.err)
    after = nights.size()
    if after.rows["evidence"] != before.rows["evidence"] or after.rows["run"] > 1:
        raise SystemExit(f"ledger prune kept or deleted what it shouldn't: {after.rows}")
    return _figures(nights, after, 0)


def days_off(part: Part, say: Say) -> None:
    """One night, fourteen days without a service, and the night after; raises SystemExit when a count is not right."""
    with _nights() as nights:
        with nights.place.service() as service:
            nights.begin(service)
            nights.live(service, BEGIN, BEGIN + _DAY)
            assert service.ends() == 0
        back = BEGIN + (1 + OFF) * _DAY + _NIGHT  # by then the windows of that day are over, too
        newest = {key: iso(due) for due, keys in stops(BEGIN + _DAY, back) for key in keys}
        nights.move(back)
        with nights.place.service() as service:
            nights.wait_for(service, set(newest.items()))
            off = nights.place.states()
            nights.live(service, back, back + _DAY)
            assert service.ends() == 0
        end = nights.place.states()
        for item in DAILY:
            figures = {
                "missed": str(off[item].get("missed", 0)),
                "caught up": str(off[item]["caught up"]),
                "done before": str(off[item].get("done", 0)),
                "done the night after": str(end[item].get("done", 0) - off[item].get("done", 0)),
                "missed since": str(end[item].get("missed", 0) - off[item].get("missed", 0)),
            }
            say(f"{item}: {figures}")
            part.finish(item, figures)
        twice = nights.place.rows("select item, due from occurrence where tries > 1")
    wanted = [str(OFF), "1", "1", "0"]
    columns = ("missed", "caught up", "done the night after", "missed since")
    bad = [item for item in DAILY if [part.done[item][column] for column in columns] != wanted]
    if bad or twice:
        raise SystemExit(f"not as it should be: {', '.join(bad)} {twice}")


@contextlib.contextmanager
def _nights() -> Iterator[Nights]:
    with tempfile.TemporaryDirectory(prefix="tabsync-soak-", dir=fast_place()) as made, serving() as api:
        directory = Path(made)
        directory.chmod(0o755)
        held = claim(directory / "server")
        assert held is not None
        found = next(one for one in installations() if one.major == 17 and one.has_server)
        embedded._initdb = copied(_INITDB, fast_place() / f"tabsync-soak-templates-{os.getpid()}")  # type: ignore[assignment]
        server = embedded.create(held.directory, settings={"fsync": "off", "listen_addresses": ""}, installation=found)
        embedded.start(server)
        try:
            with connect(server.conninfo(), "soak") as connection:
                connection.execute(sql.SQL("create database restaurant"))
            with connect(server.conninfo("restaurant"), "soak", limits=NO_LIMIT) as connection:
                apply_schema(connection)
                generate(connection, orders=300)
            (directory / "place").mkdir()
            nights = Nights(Home(directory / "place", server.conninfo("restaurant")), api)
            nights.prepare(PROFILE_MANUAL.read_text(encoding="utf-8"))
            nights.move(BEGIN)
            yield nights
        finally:
            embedded.end_server(held.directory)
            held.release()
