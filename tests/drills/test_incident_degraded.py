"""An incident and a runbook with everything down: the ledger's disk full, the database refusing, and no console."""

from __future__ import annotations

import random
from pathlib import Path

from tests.drills.incident_rounds import place
from tests.postgres.cli.program import tabsync


def test_they_go_on_into_the_emergency_journal_and_say_so(directory: Path) -> None:
    with place(directory, random.Random(1)) as ground:
        ground.disk.fill()
        for words in (("open", "Everything is down"), ("ack",), ("note", "nobody can pay")):
            done = ground.command(*words)
            assert (done.code, "the ledger can't be written; this is recorded in" in done.err) == (0, True), done.err
        ran = tabsync(directory, "runbook", "run", "server doesn't answer", "--yes")
        assert "the ledger can't be written" in ran.err
        assert "Open at step 2: nothing was lost" in ran.out
        run = ground.command("show", "--json").json["runs"][0]
        tabsync(directory, "runbook", "resume", run, "--done", "it is the network", "--yes")
        full = [line["text"] for line in ground.command("show", "--json").json["timeline"]]
        ground.disk.empty()
        shown = ground.command("show", "--json").json
    assert full[:3] == ["opened: Everything is down", "takes care of it", "nobody can pay"]
    assert any(line.startswith("step 2, ") and line.endswith("done: it is the network") for line in full), full
    assert any(line.startswith("step 1, ") and "FAILED" in line for line in full), full
    assert [line["text"] for line in shown["timeline"]] == full, "the ledger takes in what the journal had"
    assert (shown["state"], shown["unknown"]) == ("open", None)
