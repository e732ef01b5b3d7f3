"""A step: one titled, top-level function with JSON arguments, what it will do, its risk and its undo.

The dry run, the approval screen, the runbook and the audit entry all show this one object. Because the function is
recorded by its name and its arguments are JSON, any engine can run it: here, or after a crash in another process.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from importlib import import_module
from typing import Any, Concatenate, Generic, ParamSpec, TypeAlias, TypeVar

Json: TypeAlias = Any
Facts: TypeAlias = dict[str, Json]
"""What a step found or did, as JSON; later steps and the record read it."""

W = TypeVar("W")
P = ParamSpec("P")


class Risk(StrEnum):
    """How much a step can hurt."""

    READ = "read"
    REVERSIBLE = "reversible"
    DESTRUCTIVE = "destructive"


@dataclass(frozen=True, slots=True)
class Context(Generic[W]):
    """What a step's function gets besides its arguments.

    workspace: which database, which store; run_id: the run's id in the ledger; results: facts of the steps before, by
    key; report: call it with (done, total, unit) while working, so that a person sees progress.
    """

    workspace: W
    run_id: str
    results: Mapping[str, Facts]
    report: Callable[[float, float, str], None]


StepFunction: TypeAlias = Callable[..., Facts]


@dataclass(frozen=True, slots=True)
class Call:
    """A step's function by its name, "package.module:name", and its arguments; made by call()."""

    function: str
    arguments: Facts = field(default_factory=dict)


def call(function: Callable[Concatenate[Context[Any], P], Facts], *args: P.args, **arguments: P.kwargs) -> Call:
    """A step's function with its arguments, which are checked now and not when the step runs.

    function: top-level, `f(context, **arguments) -> Facts`. Raises TypeError when it could not be found again by its
    name, or does not take these arguments.
    """
    if "." in function.__qualname__ or "<" in function.__qualname__:
        raise TypeError(
            f"{function.__qualname__} is not at the top level of its module: no other process could find it"
        )
    bound = inspect.signature(function).bind(None, *args, **arguments).arguments
    return Call(f"{function.__module__}:{function.__name__}", dict(list(bound.items())[1:]))


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do.

    key: unique in its plan; other steps read this step's facts by it.
    call: the function and its arguments.
    preview: the exact SQL or command that will run, without secrets.
    undo: how to take it back, or "no undo: ..." with the reason; "" for a step that only reads.
    always: run even when an earlier step failed (the step that takes a scratch server away).
    reads: ids of the backups whose objects it needs: nothing deletes these while the run lasts.
    deadline: seconds after which the runner ends it; None: as long as it takes.
    claims: names of what it uses so that no other run may ("database:shop"): two runs that share one don't go at once.
    repeatable: it may run again after a crash in the middle of it; unless said otherwise, if it only reads or tidies.
    """

    key: str
    title: str
    call: Call
    preview: str = ""
    risk: Risk = Risk.READ
    undo: str = ""
    always: bool = False
    reads: tuple[str, ...] = ()
    deadline: float | None = None
    repeatable: bool | None = None
    claims: tuple[str, ...] = ()

    @property
    def function(self) -> str:
        """The name of its function."""
        return self.call.function

    @property
    def arguments(self) -> Facts:
        """The arguments of its function."""
        return self.call.arguments

    @property
    def may_repeat(self) -> bool:
        """Whether it may run again after a crash in the middle of it."""
        return self.always or self.risk is Risk.READ if self.repeatable is None else self.repeatable

    def to_json(self) -> Facts:
        """The step as JSON, for the ledger, the console and --json."""
        found = asdict(self)
        called = found.pop("call")
        told = {"key": found.pop("key"), "title": found.pop("title"), **called, **found}
        return told | {"reads": list(self.reads), "claims": list(self.claims)}


def resolve(step: Step) -> StepFunction:
    """Find the function a step names.

    Raises LookupError when the module has no such function: a plan from another version.
    """
    module_name, _, name = step.function.partition(":")
    try:
        function = getattr(import_module(module_name), name, None)
    except ModuleNotFoundError:
        function = None
    if not callable(function):
        raise LookupError(f"step {step.key!r} names {step.function}, which this version does not have")
    found: StepFunction = function
    return found
