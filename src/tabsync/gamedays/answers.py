"""Goes through a runbook whose steps a person does too, with what that person does and says at each."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Mapping, Sequence

from tabsync.gamedays.incident import Commands
from tabsync.kernel.gameday import Played
from tabsync.kernel.step import Facts

Answer = Callable[[Facts], Sequence[str]]
"""What somebody does where the program stops. Given the run, with its step under "at"; gives words for its resume."""

_SETTLED = ("done", "skipped")


def go_through(
    ground: Commands, played: Played, runbook: str, values: Mapping[str, str], answers: Mapping[str, Answer]
) -> None:
    """Run a runbook to its end. values: of what its steps leave open; answers: by words of the step's text.

    A step that stops and that nobody has an answer for is noted as wrong, and so is one that stops twice.
    """
    settings = [word for name, value in values.items() for word in ("--set", f"{name}={value}")]
    ran = ground.command("runbook", "run", runbook, *settings, "--yes", "--json")
    stopped: set[int] = set()
    passed: set[int] = set()  # one that was refused, and that somebody leaves out, stays a failed one
    while True:
        page = _page(ran)
        if not page:
            played.wrong.append(f"the runbook ended with exit code {ran.returncode}: {ran.stderr.strip()[-300:]}")
            return
        left = (one for one in page["steps"] if one["state"] not in _SETTLED and one["number"] not in passed)
        step = next(left, None)
        played.facts["run"] = page["run"]
        played.facts["steps"] = [{name: one[name] for name in ("number", "state", "seconds")} for one in page["steps"]]
        if step is None:
            _recovered(played, page)
            return
        answer = next((one for words, one in answers.items() if words in step["title"]), None)
        if answer is None or step["number"] in stopped:
            said = step["fact"] or ran.stderr.strip()[-300:]
            played.wrong.append(f"the runbook stopped at step {step['number']}: {said}")
            return
        stopped.add(step["number"])
        words = [*answer({**page, "at": step}), *settings]
        passed |= {step["number"]} if words[0] == "--skip" else set()
        number = str(step["number"])
        ran = ground.command("runbook", "resume", page["run"], "--step", number, *words, "--yes", "--json")


def _recovered(played: Played, page: Facts) -> None:
    """Where the runbook says what must hold when it has worked, it holds."""
    found = page.get("recovery")
    if found is not None:
        played.facts["recovery"] = found
        if not found.get("recovered"):
            values = "; ".join(f"{one['metric']}: {one['value']}" for one in found.get("metrics", []))
            played.wrong.append(f"the runbook has not helped: {values}")


def done(note: str) -> tuple[str, str]:
    """The step was done by hand."""
    return "--done", note


def skip(why: str) -> tuple[str, str]:
    """The step is left out."""
    return "--skip", why


def _page(ran: subprocess.CompletedProcess[str]) -> Facts:
    try:
        found: Facts = json.loads(ran.stdout)
    except ValueError:
        return {}
    return found if "steps" in found else {}
