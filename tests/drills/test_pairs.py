"""Two things are broken at once: the ledger is full, nobody serves, no connection is left. A runbook still runs."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from psycopg.conninfo import make_conninfo

from tabsync.postgres import embedded
from tests.postgres.runbooks.crowded import collecting, refused, small_server, taken
from tests.postgres.runbooks.place import Place
from tests.service.disk import small_disk

HEAD = "#### Too many sessions\n\nRecovers: Active connections < 50 % for 1 s within 20 s\n\n"
STEPS = """1. Who is there?
   ```tabsync
   connections show
   ```
2. End what idles.
   ```tabsync
   connections terminate --idle-for 1s
   ```
"""


SEATS = """#### Seats

Unit: count of sessions
Every: 1 s

```sql
select count(*) as value from pg_stat_activity where backend_type = 'client backend'
```

"""


@pytest.fixture(scope="module")
def server() -> Iterator[embedded.Server]:
    with small_server("pairs") as found:
        yield found


def test_what_is_measured_when_nobody_gets_in(directory: Path, server: embedded.Server) -> None:
    """Who is connected already knows what the runbook is about; what was well before it began says nothing."""
    ground = Place(directory, make_conninfo(server.conninfo(), user="operator", connect_timeout=5))
    ground.manual(STEPS, "#### Too many sessions\n\nRecovers: Seats < 6 for 1 s within 20 s\n\n", SEATS)
    with collecting(ground):
        ground.waits(lambda: _seats(ground) is not None)
        with taken(server, 0):
            assert refused(ground.conninfo)
            ground.waits(lambda: (_seats(ground) or 0) > 6)
            time.sleep(1.1)
            told = _runs(ground)
    assert (told["before"][0]["holds"], told["recovery"]["recovered"]) == (False, True)


def _seats(ground: Place) -> float | None:
    rows = ground.run("metrics", "show", "Seats", "--json").json["samples"]
    return float(rows[0]["value"]) if rows else None


@pytest.mark.parametrize("broken", [("ledger", "slots"), ("ledger", "service"), ("service", "slots")])
def test_a_runbook_runs_and_nothing_of_its_record_is_lost(
    directory: Path, server: embedded.Server, broken: tuple[str, str]
) -> None:
    ground = Place(directory, make_conninfo(server.conninfo(), user="operator", connect_timeout=5))
    ground.manual(STEPS, HEAD)
    with small_disk(directory / "disk", "16m") as disk, ExitStack() as stack:
        settings = f'\n[emergency]\ndatabases = ["{server.conninfo()}"]\n' if "service" in broken else "\n"
        config = (directory / "tabsync.toml").read_text().replace('home = "home"', 'home = "disk/home"') + settings
        (directory / "tabsync.toml").write_text(config)
        assert ground.run("run", "list").code == 0  # the ledger is there, as it would be
        if "service" not in broken:
            stack.enter_context(collecting(ground))
        stack.enter_context(taken(server, 0 if "slots" in broken else 1))
        if "slots" in broken:
            assert refused(ground.conninfo)
        if "ledger" in broken:
            disk.fill()
        time.sleep(1.2)  # they must have idled for longer than the step says
        told = _runs(ground)
        if broken == ("service", "slots"):
            assert told["before"][0]["holds"] is False, told["before"]
        if broken == ("ledger", "service"):
            assert ground.run("run", "show", told["run"], "--json").json["run"]["journal"]
        if "ledger" in broken:
            disk.empty()
            ground.run("run", "list")  # with room again, the next command takes everything into the ledger
        shown = ground.shown(told["run"])
        assert "journal" not in shown
        assert [{name: one[name] for name in told["steps"][0]} for one in shown["steps"]] == told["steps"]
        assert (shown["state"], [one["state"] for one in shown["steps"]]) == ("done", ["done", "done"])
        assert shown["target"]["recovery"]["recovered"] is True
        (under,) = shown["runs"]
        assert (under["procedure"], under["state"]) == ("connections terminate", "done")


def _runs(ground: Place) -> Any:
    done = ground.run("runbook", "run", "too many sessions", "--yes", "--json")
    told = json.loads(done.out)
    assert (done.code, told["state"]) == (0, "done"), f"{done.err}\n{json.dumps(told, indent=1)}"
    return told
