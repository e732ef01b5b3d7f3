"""A procedure is declared once: its words, what one may ask of it, how it is planned and shown, and where it appears.

Every surface is made from these declarations: the commands, the console's forms, the manual's steps, the schedule, the
API and the reference. A declaration names its functions as "package.module:name", so that listing all procedures
imports none of them; tests/unit/test_procedures.py finds each of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import (
    TYPE_CHECKING,
    Any,
    Generic,
    Literal,
    TypeVar,
)

from tabsync.kernel.plan import Plan
from tabsync.kernel.request import Field, Nothing, fields_of

if TYPE_CHECKING:
    from tabsync.kernel.page import Page
    from tabsync.kernel.runner import Outcome

W = TypeVar("W")
R = TypeVar("R")


class Surface(StrEnum):
    """Where a procedure can be started from."""

    CLI = "command line"
    CONSOLE = "console"
    MANUAL = "manual"
    SCHEDULE = "schedule"
    API = "API"


CLI_ONLY = frozenset({Surface.CLI})
ON_REQUEST = frozenset({Surface.CLI, Surface.CONSOLE, Surface.MANUAL, Surface.API})
"""Whatever a person starts, and nothing starts by itself."""
EVERYWHERE = frozenset(Surface)


@dataclass(frozen=True, slots=True)
class Planned(Generic[W]):
    """A plan and what goes with it.

    notes: what it leaves out or brings along, said before it runs; before: a page shown before it; warning:
    what a person is told who is about to approve it; only_look: the request does not ask for the plan to be run; about:
    what its page needs to know besides the outcome; workspace: to run it in, when it isn't the one that it was planned
    in; keeps: names of scratch directories that stay when it has run, for the plan that follows it; typed: the words of
    its command, where they aren't those of the request; done: called when it has run and its outcome was shown.
    """

    plan: Plan
    notes: tuple[str, ...] = ()
    before: Page | None = None
    warning: str = ""
    only_look: bool = False
    keeps: tuple[str, ...] = ()
    typed: tuple[str, ...] = ()
    about: Any = None
    workspace: W | None = None
    done: Callable[[], None] | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Done(Generic[W, R]):
    """What came of a procedure. outcome: None, when there was nothing to run; after: what its `after` gave."""

    workspace: W
    request: R
    planned: Planned[W]
    outcome: Outcome | None
    after: Any = None

    @property
    def ran(self) -> Outcome:
        """The outcome of a procedure that always runs."""
        if self.outcome is None:
            raise ValueError(f"{self.planned.plan.procedure} did not run")
        return self.outcome

    @property
    def results(self) -> dict[str, Any]:
        """The facts of the steps that were done, by key."""
        return self.outcome.results if self.outcome else {}


@dataclass(frozen=True, kw_only=True)
class Procedure:
    """One procedure, declared.

    words: as one types it, "backup take"; request: a dataclass, whose fields are the options; takes: which of
    "database", "store", "dry-run", "yes" and "json" it takes besides.
    plan: f(workspace, request) -> Plan or Planned; show: f(done) -> Page; after: f(done) -> anything, when it has run,
    whoever started it; read: f(workspace, request) -> Page, of one that has no plan since it only looks.
    command: f(terminal, request) -> exit code, where the command line does more than plan, run and show; records: that
    function runs a plan, though no plan is declared.
    needs: the least role in the database, in words; operator: the role that an operator needs to start it, which for a
    destructive plan is an admin's; hidden: it
    is only reached from where it follows, and listed nowhere; shows_failure: `show` also has something to say of a run
    that failed.
    evidence: the kind of evidence that it leaves in the ledger, "" when that is only what it printed; evidence_for: the
    kind by a word of the command, where it is another; fits: f(words, facts, manual) -> why such evidence doesn't show
    that those words were done, "" when it does; approval: why a schedule may not start it before an admin approved it;
    approval_if: only with this option; approval_binds: what of the manual an approval is bound to, besides the item;
    endless: it goes on until it is ended; undone_by: the words of the procedure that takes back what this one did for
    the time being: a runbook that has helped still does that step; again: who starts it in a browser gives the password
    again, and a program can't start it.
    """

    words: str
    summary: str
    example: str
    details: str = ""
    request: str = ""
    takes: str = "database store json"
    plan: str = ""
    show: str = ""
    after: str = ""
    read: str = ""
    command: str = ""
    records: bool = False
    surfaces: frozenset[Surface] = CLI_ONLY
    needs: str = ""
    operator: Literal["viewer", "responder", "admin"] = "admin"
    hidden: bool = False
    shows_failure: bool = False
    evidence: str = ""
    evidence_for: Mapping[str, str] = field(default_factory=dict)
    fits: str = ""
    approval: str = ""
    approval_if: str = ""
    endless: bool = False
    again: bool = False
    undone_by: str = ""
    approval_binds: Literal["", "retention"] = ""

    @property
    def by_itself(self) -> bool:
        """Whether a schedule or a gate may start it: what only looks, and what is declared for it."""
        return bool(self.read) or Surface.SCHEDULE in self.surfaces

    @cached_property
    def request_type(self) -> type:
        """The request model."""
        found: type = named(self.request) if self.request else Nothing
        return found

    @cached_property
    def fields(self) -> tuple[Field, ...]:
        """What one may ask of it."""
        return fields_of(self.request_type)

    @property
    def records_a_run(self) -> bool:
        """Whether the ledger records a run of it."""
        return bool(self.plan) or self.records

    def has(self, option: str) -> bool:
        """Whether it takes one of the common options."""
        return option in self.takes.split()

    def recorded(self, request: Any) -> dict[str, Any]:
        """A request as it is recorded: what isn't the default, and no secret."""
        asked = {one.name: getattr(request, one.name) for one in self.fields if not one.secret}
        plain = {
            name: [str(each) for each in value] if isinstance(value, tuple) else value for name, value in asked.items()
        }
        shown = {name: str(value) if isinstance(value, Path) else value for name, value in plain.items()}
        default = {one.name: one.default for one in self.fields if not one.required}
        return {name: value for name, value in shown.items() if name not in default or asked[name] != default[name]}

    def command_line(self, request: Any) -> list[str]:
        """The words that one would type for a request, without "tabsync"."""
        words = self.words.split()
        for one in sorted(self.fields, key=lambda one: not one.positional):
            words += _typed(one, getattr(request, one.name))
        return words


@dataclass(frozen=True, slots=True)
class Group:
    """The first word of several procedures. summary: one line."""

    words: str
    summary: str
    example: str = ""


def named(name: str) -> Any:
    """What a declaration names. Raises LookupError when there is no such thing."""
    module_name, _, attribute = name.partition(":")
    found = getattr(import_module(module_name), attribute, None)
    if found is None:
        raise LookupError(f"{name} is declared, but there is no such thing")
    return found


def planned(procedure: Procedure, request: Any, made: Plan | Planned[W]) -> Planned[W]:
    """What a plan function gave, with what goes with it, and with what was asked for on record."""
    whole = made if isinstance(made, Planned) else Planned(made)
    values = procedure.recorded(request)
    return replace(whole, plan=replace(whole.plan, request={"procedure": procedure.words, "values": values}))


def _plain(value: Any) -> Any:
    return (
        [str(each) for each in value] if isinstance(value, tuple) else str(value) if isinstance(value, Path) else value
    )


def _typed(one: Field, value: Any) -> Sequence[str]:
    if value in (None, one.default) and not (one.required or (one.positional and value)):
        return ()
    values = [str(each) for each in value] if one.many else [str(value)]
    if one.positional:
        return values
    if one.kind == "flag":
        return one.flags[:1]
    return [word for each in values for word in (one.flags[0], each)]
