"""A step: one titled, named, top-level function with JSON arguments, what it will do, its risk and its undo.

The dry run, the approval screen, the runbook and the audit entry all show this one object. Because the function is
named by text and its arguments are JSON, any engine can run it: in this process, or after a crash in another one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from importlib import import_module
from typing import Any, TypeAlias

Json: TypeAlias = Any
Facts: TypeAlias = dict[str, Json]
"""What a step found or did, as JSON; later steps and the record read it."""


class Risk(StrEnum):
    """How much a step can hurt."""

    READ = "read"
    REVERSIBLE = "reversible"
    DESTRUCTIVE = "destructive"


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do.

    key: unique in its plan; other steps read this step's facts by it.
    function: "package.module:name" of a top-level function `f(context, **arguments) -> Facts`.
    preview: the exact SQL or command that will run, without secrets.
    undo: how to take it back, or "no undo: ..." with the reason; "" for a step that only reads.
    always: run even when an earlier step failed (the step that takes a scratch server away).
    """

    key: str
    title: str
    function: str
    arguments: Facts = field(default_factory=dict)
    preview: str = ""
    risk: Risk = Risk.READ
    undo: str = ""
    always: bool = False

    def to_json(self) -> Facts:
        """The step as JSON, for the ledger, the console and --json."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Context:
    """What a step function gets besides its arguments.

    services: the workspace (which database, which store); run_id: the run's id in the ledger; results: facts of the
    steps before, by key; report: call it with (done, total, unit) while working, so that a person sees progress.
    """

    services: Any
    run_id: str
    results: Mapping[str, Facts]
    report: Callable[[float, float, str], None]


StepFunction: TypeAlias = Callable[..., Facts]


def resolve(step: Step) -> StepFunction:
    """Find the function a step names.

    Raises LookupError when the module has no such function: a plan from another version.
    """
    module_name, _, name = step.function.partition(":")
    function = getattr(import_module(module_name), name, None)
    if not callable(function):
        raise LookupError(f"step {step.key!r} names {step.function}, which this version does not have")
    found: StepFunction = function
    return found
