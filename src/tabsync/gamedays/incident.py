"""What people do with the incident when it is over: tick its boxes off, close it, write the post-mortem."""

from __future__ import annotations

import json
import subprocess
from typing import Protocol

from tabsync.kernel.gameday import Played
from tabsync.kernel.step import Facts

_WHY = "a game day"


class Commands(Protocol):
    """Where commands are run as a person would."""

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run one to its end."""
        ...


def close_incident(ground: Commands, played: Played, cause: str, *must_tell: str) -> None:
    """Close the incident that the runbook has opened; its post-mortem goes to the facts.

    cause: the root cause; must_tell: words without which its timeline or report would be no record of this game day.
    What is missing or refused is noted as wrong.
    """
    listed = _json(played, ground.command("incident", "list", "--json"))
    found: list[Facts] = listed.get("incidents", [])
    if len(found) != 1:
        played.wrong.append(f"{len(found)} incidents are on record instead of one")
        return
    name: str = found[0]["id"]
    played.facts["incident"] = name
    if found[0]["state"] not in ("resolved", "closed"):
        _json(played, ground.command("incident", "resolve", name, "--note", cause, "--json"))
    shown = _json(played, ground.command("incident", "show", name, "--checklist", "--json"))
    for box in shown.get("checklist", []):
        if not (box["done"] or box["waived"]) and box["by"] != "cause":
            words = ("incident", "check", str(box["number"]), "--waive", _WHY, "--incident", name, "--json")
            _json(played, ground.command(*words))
    _json(played, ground.command("incident", "close", name, "--cause", cause, "--json"))
    text = str(_json(played, ground.command("incident", "report", name, "--json")).get("markdown", ""))
    played.facts["report"] = text
    for one in must_tell:
        if one not in text:
            played.wrong.append(f"the post-mortem does not tell of {one!r}")


def _json(played: Played, ran: subprocess.CompletedProcess[str]) -> Facts:
    try:
        found: Facts = json.loads(ran.stdout)
    except ValueError:
        words = " ".join(str(one) for one in ran.args[3:6])
        played.wrong.append(f"{words} ended with exit code {ran.returncode}: {ran.stderr.strip()[-300:]}")
        return {}
    return found
