"""A plan: the list of steps that was shown is the list of steps that runs, bound by its digest."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from tabsync.kernel.errors import Refused
from tabsync.kernel.step import Call, Facts, Risk, Step


@dataclass(frozen=True, slots=True)
class Plan:
    """What a procedure is going to do.

    procedure: the command it belongs to, "backup take"; target: identity of what it touches (database, system
    identifier, version, role), as found when the plan was made; confirm: what a person types to approve a
    destructive plan (the database's name); request: what was asked for, {"procedure": words, "values": by field}.
    """

    procedure: str
    title: str
    steps: tuple[Step, ...]
    target: Facts = field(default_factory=dict)
    confirm: str = ""
    request: Facts = field(default_factory=dict)

    def __post_init__(self) -> None:
        twice = [key for key, n in Counter(step.key for step in self.steps).items() if n > 1]
        if twice:
            raise ValueError(f"step keys appear twice: {', '.join(twice)}")
        for step in self.steps:
            if step.risk is not Risk.READ and not step.undo:
                raise ValueError(f"step {step.key!r} changes something but states no undo")

    @property
    def risk(self) -> Risk:
        """The worst risk of any step."""
        order = (Risk.READ, Risk.REVERSIBLE, Risk.DESTRUCTIVE)
        return max((step.risk for step in self.steps), key=order.index, default=Risk.READ)

    @property
    def reads(self) -> frozenset[str]:
        """The ids of the backups whose objects its steps need."""
        return frozenset(backup for step in self.steps for backup in step.reads)

    @property
    def claims(self) -> frozenset[str]:
        """What its steps use so that no other run may."""
        return frozenset(name for step in self.steps for name in step.claims)

    def to_json(self) -> Facts:
        """The plan as JSON: what is shown, approved, recorded and run."""
        return {
            "procedure": self.procedure,
            "title": self.title,
            "target": self.target,
            "risk": self.risk.value,
            "confirm": self.confirm,
            "request": self.request,
            "steps": [step.to_json() for step in self.steps],
        }

    def digest(self) -> str:
        """SHA-256 of the plan's canonical JSON, in hex."""
        canonical = json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()


def plan_from_json(data: Facts, moved: Mapping[str, str] | None = None) -> Plan:
    """Rebuild a recorded plan; the inverse of Plan.to_json.

    moved: what the functions of earlier versions are called now.
    """
    return Plan(
        procedure=data["procedure"],
        title=data["title"],
        target=data["target"],
        confirm=data["confirm"],
        request=data.get("request", {}),
        steps=tuple(_step_from_json(step, moved or {}) for step in data["steps"]),
    )


def _step_from_json(data: Facts, moved: Mapping[str, str]) -> Step:
    given = {key: value for key, value in data.items() if key not in ("function", "arguments")}
    called = Call(moved.get(data["function"], data["function"]), data["arguments"])
    reads = data["reads"] if "reads" in data else _read_before(data["arguments"])
    return Step(
        **given
        | {"call": called, "risk": Risk(data["risk"]), "reads": tuple(reads), "claims": tuple(data.get("claims", ()))}
    )


def _read_before(arguments: Facts) -> list[str]:
    """The backups that a step of version 0.1 needs, which said so by its arguments only."""
    one = [arguments["backup"]] if "backup" in arguments else []
    return [*one, *arguments.get("backups", ()), *arguments.get("digests", ())]


def check_approval(plan: Plan, *, typed: str | None, yes: bool) -> str:
    """Decide whether a plan may run; returns how it was approved, for the record.

    typed: what the person typed, None when there is no terminal to ask at; yes: --yes was given.
    Raises Refused when a destructive plan was not approved. Nothing has been changed then.
    """
    if plan.risk is not Risk.DESTRUCTIVE:
        return "not needed"
    if yes:
        return "--yes"
    if typed is None:
        raise Refused(
            f"{plan.procedure} is destructive and can't be confirmed without a terminal",
            "read the plan with --dry-run, then add --yes",
        )
    if typed != plan.confirm:
        raise Refused(
            f"{typed!r} does not match {plan.confirm!r}; nothing was changed", "to confirm, run the command again"
        )
    return "typed"
