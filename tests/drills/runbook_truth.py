"""What a round has left, by the server and by the ledger: they must say the same."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Any

from tabsync.kernel.clock import parse_iso
from tabsync.ledger.runs import one_run
from tests.drills.runbook_rounds import LOOKED, WRITES
from tests.drills.runbook_site import RESTARTED

if TYPE_CHECKING:
    from tests.drills.runbook_rounds import Round

_BEGUN = ("done", "interrupted", "failed")
_KEYS = {
    "connections terminate": "end",
    "alert silence": "record",
    "maintenance vacuum": "work",
    "runbook sql": "apply",
}


def check(round: Round) -> None:
    """Compare, and note in the site what is wrong."""
    workspace = round.site.ground.workspace()
    ledger = workspace.ledger()
    parents = [one_run(ledger, run_id) for run_id in round.runs]
    under = [one["id"] for parent in parents if parent for one in ledger.read("runs_under", parent=parent["id"])]
    children = [one for one in (one_run(ledger, run_id) for run_id in under) if one]
    workspace.close()
    for what in _wrong(round, [one for one in parents if one], children):
        round._wrong(what)


def _wrong(round: Round, parents: list[Any], children: list[Any]) -> Iterator[str]:
    for run in [*parents, *children]:
        states = [one["state"] for one in run["steps"]]
        if run["state"] == "running" or (run["state"] != "open" and "running" in states):
            yield f"{run['procedure']} {run['id']} is shown as {run['state']}, with {states}"
    if not parents or parents[0]["state"] not in ("done", "failed"):
        yield f"it ended as {parents[0]['state'] if parents else 'nothing'}: {round.told[-2:]}"
        return
    yield from _acts(round, parents, children)
    yield from _sessions(round, children)
    yield from _counted(round, "alert silence", _silences(round), children)
    yield from _counted(round, "maintenance vacuum", round._vacuumed() - round.vacuumed, children)
    yield from _journal(round)
    yield from _settled(parents[0], children)


def _acts(round: Round, parents: list[Any], children: list[Any]) -> Iterator[str]:
    """Each row that SQL has written has an intent of its own, before it; what is recorded as done is there."""
    acts = round._acts()
    for number in WRITES:
        text = f"({round.number}, {number})"
        sql = [one for one in children if one["procedure"] == "runbook sql"]
        mine = [one for one in sql if text in one["plan"]["steps"][0]["preview"]]
        yield from _counted(round, "runbook sql", sum(step == number for step, _ in acts), mine)
        times = sorted(parse_iso(run["steps"][0]["started_at"]) for run in mine if run["steps"][0]["started_at"])
        for at, intent in zip(sorted(at for step, at in acts if step == number), times, strict=False):
            if at < intent:
                yield f"step {number} acted at {at}, and its intent is of {intent}"


def _counted(round: Round, procedure: str, count: int, children: list[Any]) -> Iterator[str]:
    """How often something was done, and how often the ledger says so: what was interrupted may have been."""
    states = Counter(_state(one) for one in children if one["procedure"] == procedure)
    lost = states["failed"] if RESTARTED in round.conditions else 0  # the answer may have been lost
    if not states["done"] <= count <= states["done"] + states["interrupted"] + lost:
        yield f"{procedure}: was done {count} times; recorded: {dict(states)}"
    if count > 1:
        round.site.seen["again, and said"] += count - 1
    if states["done"] > 1:
        round.site.seen["again, though recorded as done"] += states["done"] - 1
        yield f"{procedure}: was done again, though it is recorded as done"


def _sessions(round: Round, children: list[Any]) -> Iterator[str]:
    """Only what was planned is gone, and what is said to have been ended is."""
    alive = {int(pid) for (pid,) in round.site.asked("select pid from pg_stat_activity")}
    ending = [one for one in children if one["procedure"] == "connections terminate" and _state(one) in _BEGUN]
    plans = [step for one in ending for step in one["plan"]["steps"] if step["key"] == "end"]
    planned = {int(one["pid"]) for step in plans for one in step["arguments"]["sessions"]}
    told = [one for run in ending for step in run["steps"] if step["key"] == "end" for one in _ended(step)]
    if RESTARTED not in round.conditions:
        if lost := {*round.others} - alive:
            yield f"{len(lost)} sessions were ended that were not to be"
        if lost := {*round.victims} - alive - planned:
            yield f"{len(lost)} sessions were ended without a plan"
    if still := {*told} & alive & {*round.victims}:
        yield f"{len(still)} sessions are said to have been ended, and live"
    round.site.seen["sessions ended"] += len({*round.victims} & planned - alive)


def _ended(step: Any) -> list[int]:
    return [int(one["pid"]) for one in (step["facts"] or {}).get("ended", ())]


def _silences(round: Round) -> int:
    return int(_ledger(round, "select count(*) from silence where reason = ?", f"round {round.number}")[0][0])


def _journal(round: Round) -> Iterator[str]:
    """The emergency journal has gone into the ledger, once."""
    places = (round.site.home, round.site.ground.directory / ".local" / "state" / "tabsync")
    if left := [path.name for place in places if place.is_dir() for path in place.glob("tabsync-emergency-*")]:
        yield f"of the emergency journal are left: {left}"
    merged = "select run_id, json_extract(detail, '$.last'), count(*) from audit"
    rows = _ledger(round, f"{merged} where action like 'emergency journal:%' group by 1, 2")
    round.site.seen["journals merged"] = len(rows)
    if any(count > 1 for *_, count in rows):
        yield "an emergency journal was merged twice"
    begun = "select run_id, action, count(*) from audit where action like '%: begin' group by 1, 2 having count(*) > 1"
    if twice := _ledger(round, begun):
        yield f"the audit has a beginning twice: {twice}"


def _settled(parent: Any, children: list[Any]) -> Iterator[str]:
    """A step that is shown as done names runs that have acted."""
    states = {one["id"]: _state(one) for one in children}
    for step in parent["steps"]:
        runs = (step["facts"] or {}).get("runs", [])
        if step["state"] == "done" and any(states.get(run_id) != "done" for run_id in runs):
            yield f"step {step['number']} is shown as done, and its runs are {[states.get(one) for one in runs]}"
        by_hand = (step["facts"] or {}).get("note") == LOOKED  # a person has seen that it was done
        if step["state"] == "done" and step["number"] in WRITES and not runs and not by_hand:
            yield f"step {step['number']} is shown as done without a run"


def _state(run: Any) -> str:
    """The state of the step that acts; "waiting" when it was not begun."""
    key = _KEYS[run["procedure"]]
    return next((str(one["state"]) for one in run["steps"] if one["key"] == key), "waiting")


def _ledger(round: Round, query: str, *values: object) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(round.site.ledger)) as connection:
        return connection.execute(query, values).fetchall()
