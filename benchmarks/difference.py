"""restore diff of ten million rows, against the way without it: both tables sorted by COPY, and diff."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path
from statistics import median

from tests.servers import running_server

from benchmarks.measure import TABSYNC, Measured, Series
from benchmarks.recovery import Say
from tabsync.postgres.connect import connect
from tabsync.postgres.conninfo import libpq_environment
from tabsync.postgres.embedded import Server
from tabsync.postgres.settings import Limits

ROWS = 10_000_000
_NO_LIMIT = Limits(statement_timeout=0, lock_timeout=0, idle_in_transaction_timeout=0)
_RATE = 200_000  # rows of each side a second
_CHANGES = {"different": 500, "only_old": 1_000, "only_new": 0}

_MAKE = """
create table public.orders (id bigint primary key, customer uuid not null, total numeric(10, 2) not null,
  status text not null, placed_at timestamptz not null, note text)
"""
_FILL = f"""
insert into public.orders
select n, md5(n::text)::uuid, (n %% 10000) / 100.0, (array['new', 'paid', 'done'])[1 + n %% 3],
       timestamptz '2026-01-01' + n * interval '1 s', case when n %% 4 = 0 then 'note ' || n end
  from generate_series(1, {ROWS}) n
"""
_CHANGE = (
    f"update public.orders set note = 'changed' where id %% {ROWS // _CHANGES['different']} = 7",
    f"delete from public.orders where id > {ROWS - _CHANGES['only_old']}",
)


def measure_difference(home: Path, rounds: int, say: Say) -> tuple[list[Measured], list[Series], list[str]]:
    """Two copies on one server: the same, and with some rows changed; turn by turn with COPY, sort by key and diff."""
    with running_server("difference", shared_buffers="512MB", max_wal_size="8GB") as server:
        say(f"{ROWS:,} rows, twice")
        _fill(server)
        same, changed, peer = Series("tabsync restore diff, the same"), Series("tabsync restore diff"), Series(_PEER)
        for number in range(rounds):
            say(f"restore diff, {number + 1} of {rounds}")
            if number == 0:
                _ours(server, home, "same", same, {})
            _ours(server, home, "changed", changed, _CHANGES)
            _peer(server, home, peer)
    found = [
        Measured("Seconds for a million rows, the same", same.typical / ROWS * 1e6, 1e6 / _RATE, "s"),
        Measured(
            f"Seconds for a million rows, {sum(_CHANGES.values()):,} changed",
            changed.typical / ROWS * 1e6,
            1e6 / _RATE,
            "s",
        ),
        Measured("The same, against both tables sorted by COPY, and diff", changed.typical / peer.typical, 1.0),
    ]
    lines = ["| Run | Processor time of the server, both sides |", "|---|---:|"]
    lines += [f"| `{one.name}` | {median(one.cpu):.1f} s |" for one in (same, changed, peer)]
    return found, [same, changed, peer], lines


def _worked(server: Server) -> float:
    """Seconds of processor time of all sessions that have ended."""
    postmaster = (server.data / "postmaster.pid").read_text().split()[0]
    fields = Path(f"/proc/{postmaster}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")


_PEER = "psql: copy (... order by id) of both, diff"


def _fill(server: Server) -> None:
    with connect(server.conninfo(), "bench", limits=_NO_LIMIT) as connection:
        connection.execute("create database old")
    with connect(server.conninfo("old"), "bench", limits=_NO_LIMIT) as connection:
        connection.execute(_MAKE)
        connection.execute(_FILL, {})
        connection.execute("vacuum (freeze, analyze) public.orders")
    with connect(server.conninfo(), "bench", limits=_NO_LIMIT) as connection:
        connection.execute("create database same template old strategy file_copy")
        connection.execute("create database changed template old strategy file_copy")
    with connect(server.conninfo("changed"), "bench", limits=_NO_LIMIT) as connection:
        for statement in _CHANGE:
            connection.execute(statement, {})


def _ours(server: Server, home: Path, new: str, series: Series, expected: dict[str, int]) -> None:
    place = home / "difference"
    place.mkdir(parents=True, exist_ok=True)
    config = place / "tabsync.toml"
    config.write_text(f'database = "{server.conninfo("old")}"\nstore = "{place}/store"\nhome = "{place}/state"\n')
    begun, worked = time.perf_counter(), _worked(server)
    argv = [str(TABSYNC), "restore", "diff", new, "old", "--config", str(config), "--json"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    series.seconds.append(time.perf_counter() - begun)
    time.sleep(1)  # until the server has seen its sessions end
    series.cpu.append(_worked(server) - worked)
    table = json.loads(done.stdout)["tables"][0]
    if any(table[kind] != expected.get(kind, 0) for kind in _CHANGES):
        raise SystemExit(f"restore diff found something else: {done.stdout}")


def _peer(server: Server, home: Path, series: Series) -> None:
    """Both tables in the order of the key, at once, as text into files; then diff, whose memory is what it takes."""
    psql = str(server.installation.program("psql"))
    copy = "copy (select * from public.orders order by id) to stdout"
    files = [home / "difference" / f"{name}.txt" for name in ("changed", "old")]
    begun, worked = time.perf_counter(), _worked(server)
    running = []
    for path in files:
        env = {**os.environ, **libpq_environment(server.conninfo(path.stem))}
        with path.open("wb") as file:
            running.append(subprocess.Popen([psql, "--no-psqlrc", "--command", copy], env=env, stdout=file))
    if any(one.wait() for one in running):
        raise SystemExit("psql failed")
    done = subprocess.run(["diff", *map(str, files)], stdout=subprocess.DEVNULL, check=False)
    series.seconds.append(time.perf_counter() - begun)
    time.sleep(1)
    series.cpu.append(_worked(server) - worked)
    if done.returncode != 1:
        raise SystemExit("diff failed")
    for path in files:
        path.unlink()
