"""What a person does when they are told: ask for the cause, run the runbook. Its times, and what came of it."""

from __future__ import annotations

import json
import time

from tabsync.gamedays.ground import Ground
from tabsync.kernel.gameday import Played
from tabsync.kernel.step import Facts

RUNBOOK = "Connection pool exhausted"
_RUN = 900.0  # seconds for the runbook


def run_runbook(ground: Ground, played: Played, told_at: float, *more: str) -> None:
    """Run the runbook as a script, and note what came of it. more: further words of its command."""
    diagnose(ground, played, told_at)
    ran = ground.command("runbook", "run", RUNBOOK, "--yes", "--json", *more, seconds=_RUN)
    try:
        outcome: Facts = json.loads(ran.stdout)
    except ValueError:
        played.wrong.append(f"the runbook ended with exit code {ran.returncode}: {ran.stderr.strip()[-300:]}")
        return
    played.recover = time.monotonic() - told_at
    played.facts["run"] = outcome.get("run")
    steps = outcome.get("steps", [])
    played.facts["steps"] = [{name: one[name] for name in ("number", "state", "seconds")} for one in steps]
    if outcome.get("state") != "done" or not (outcome.get("recovery") or {}).get("recovered"):
        said = "; ".join(f"step {one['number']}: {one['fact']}" for one in steps if one.get("fact"))
        played.wrong.append(f"the runbook has not helped: {outcome.get('state')}; {said or ran.stderr.strip()[-300:]}")


def diagnose(ground: Ground, played: Played, told_at: float, text: str = "") -> None:
    """Ask for the cause, as a person would first. text: what the application says."""
    words = ("--text", text) if text else ()
    ran = ground.command("connections", "diagnose", *words, "--json", seconds=60)
    played.diagnose = time.monotonic() - told_at
    try:
        said: Facts = json.loads(ran.stdout)
    except ValueError:
        played.wrong.append(f"connections diagnose ended with exit code {ran.returncode}: {ran.stderr.strip()[-300:]}")
        return
    played.cause = str(said.get("says", ""))
    played.facts["causes"] = said.get("causes", [])
