"""What TabSync itself did lately, by its ledger: deployments, restarts of the application, and other changes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from tabsync.kernel.cards import without_cards
from tabsync.kernel.clock import iso, now, parse_iso
from tabsync.kernel.errors import NotRecorded, TabsyncError
from tabsync.kernel.plain import in_one_line
from tabsync.kernel.step import Facts, Risk
from tabsync.profiles.tabsync.payments.change import Change, changed, nothing, unknown

if TYPE_CHECKING:
    from tabsync.workspace import Workspace

GUARD = "migration guard"
DEPLOYMENTS = (GUARD, "migration undo", "migration resolve")
APPLICATION = ("app restart", "app switch-database")
_KINDS = ("deployments", "application", "other runs")
_ELSEWHERE = ("incident ", "alert ", "runbook run", "schedule ", "backup ", "drill", "wal ", "ledger ", "audit seal")
"""Runs that change nothing which the application sees: they write into the ledger, the store or a copy."""

_BEFORE = timedelta(days=1)  # a run that began so long ago may still have changed something now
_RUNS = 500


def here(workspace: Workspace, since: datetime) -> Iterator[Change]:
    """By the ledger, which knows what was run through TabSync and nothing else."""
    try:
        runs = list(_runs(workspace, since))
    except (NotRecorded, TabsyncError) as error:
        yield from (unknown(kind, f"the ledger can't be read: {error.fact}") for kind in _KINDS)
        return
    yield _change(
        "deployments",
        [one for one in runs if one["procedure"] in DEPLOYMENTS],
        "none under guard; one that was not run through TabSync is not known here",
    )
    yield _change(
        "application",
        [one for one in runs if one["procedure"] in APPLICATION],
        "not restarted by TabSync; what restarted it otherwise, its own platform knows",
    )
    others = [one for one in runs if one["procedure"] not in (*DEPLOYMENTS, *APPLICATION)]
    yield _change("other runs", others, "none of TabSync's that changes what the application sees")


def _runs(workspace: Workspace, since: datetime) -> Iterator[Facts]:
    """The runs that may have changed something since, the newest first."""
    ledger = workspace.ledger()
    span = {"since": iso(since - _BEFORE), "until": iso(now() + _BEFORE), "limit": _RUNS}
    found = [one for one in ledger.read("runs_between", **span) if not one["procedure"].startswith(_ELSEWHERE)]
    late = [one for one in found if not one["finished_at"] or parse_iso(one["finished_at"]) >= since]
    for run in (whole for one in late for whole in ledger.read("run", id=one["id"])):
        if _began_to_change(run, ledger.read("steps", run_id=run["id"])):
            yield run


def _began_to_change(run: Facts, steps: Sequence[Facts]) -> bool:
    """Whether a step that changes something was begun: a run that was refused before has changed nothing.

    Of a deployment that is its command: what comes before it sees to backup and proof.
    """
    begun = [one for one in steps if one["state"] not in ("waiting", "skipped")]
    if run["procedure"] == GUARD:
        return any(one["key"] == "run" for one in begun)
    planned = (run["plan"] or {}).get("steps", ())
    risky = {number for number, one in enumerate(planned, start=1) if one.get("risk") != Risk.READ.value}
    return any(one["number"] in risky for one in begun)


def _change(what: str, runs: Sequence[Facts], otherwise: str) -> Change:
    if not runs:
        return nothing(what, otherwise)
    newest = runs[0]
    more = f"; and {len(runs) - 1} more: tabsync run list" if len(runs) > 1 else ""
    text = f"{without_cards(in_one_line(newest['title']))}: {newest['state']}, by {in_one_line(newest['actor'])}{more}"
    return changed(what, parse_iso(newest["started_at"]), text)
