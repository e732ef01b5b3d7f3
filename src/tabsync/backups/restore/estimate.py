"""How long a restore will take, from how long the last ones took; without any there is no number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tabsync.kernel.plan import Plan
from tabsync.kernel.step import Facts
from tabsync.kernel.units import human_bytes, human_seconds
from tabsync.ledger.open import Ledger
from tabsync.ledger.runs import one_run, recent_runs
from tabsync.stores.manifest import Manifest

_PROCEDURES = ("restore new", "restore in-place")
_COUNTED = ("fetch", "create", "restore", "verify")
_LOOKED_AT = 5
"""Runs of each procedure that are looked at, the newest first."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """bytes: stored ones to read; seconds: None when no earlier run tells; after: the run that it was told from."""

    bytes: int
    seconds: float | None
    after: str = ""

    def __str__(self) -> str:
        size = f"reads {human_bytes(self.bytes)}"
        if self.seconds is None:
            return f"{size}; the time is unknown, as no restore was recorded here yet"
        return f"{size}; about {human_seconds(self.seconds)}, at the speed of run {self.after}"

    def to_json(self) -> Facts:
        """As JSON."""
        return {"bytes": self.bytes, "seconds": self.seconds, "after": self.after or None}


def estimate(ledger: Ledger, plan: Plan, manifest: Manifest) -> Estimate:
    """What a plan that restores a whole backup will read, and how long that took per byte the last time."""
    for procedure in _PROCEDURES if plan.procedure in _PROCEDURES else ():
        for run in recent_runs(ledger, _LOOKED_AT, procedure):
            found = one_run(ledger, run["id"]) if run["state"] == "done" else None
            rate = seconds_per_byte(found["steps"]) if found else None
            if found and rate is not None and _same_server(found["target"], plan.target):
                return Estimate(manifest.stored_bytes, rate * manifest.stored_bytes, found["id"])
    return Estimate(manifest.stored_bytes, None)


def seconds_per_byte(steps: Sequence[Mapping[str, object]]) -> float | None:
    """The speed of a run that restored a whole backup, None when its steps don't tell."""
    seconds = {str(one["key"]): one["seconds"] for one in steps if one["key"] in _COUNTED}
    facts = next((one["facts"] for one in steps if one["key"] == "fetch"), None)
    size = facts.get("bytes") if isinstance(facts, dict) else None
    if not size or "restore" not in seconds:
        return None
    return sum(float(one) for one in seconds.values() if isinstance(one, int | float)) / float(size)


def _same_server(one: Facts, other: Facts) -> bool:
    return one.get("system_identifier") == other.get("system_identifier")
