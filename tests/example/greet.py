"""The example's request, plan, step and page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from tabsync.kernel.page import Page
from tabsync.kernel.plan import Plan
from tabsync.kernel.request import Argument, Option
from tabsync.kernel.step import Facts, Step, call

if TYPE_CHECKING:
    from tabsync.kernel.procedure import Done
    from tabsync.workspace import Context, Workspace


@dataclass(frozen=True, slots=True)
class Greet:
    """Whom to greet."""

    names: Annotated[tuple[str, ...], Argument("The guests.")]
    times: Annotated[int, Option("How often.", minimum=1, maximum=9)] = 1


def plan_greet(_workspace: Workspace, request: Greet) -> Plan:
    """Plan the greeting."""
    greeting = call(greet, names=list(request.names), times=request.times)
    preview = f"say hello to {', '.join(request.names)}"
    return Plan("greet guests", "Greet the guests", (Step("greet", "Greet", greeting, preview),))


def greet(_context: Context, *, names: list[str], times: int) -> Facts:
    """Greet them."""
    return {"said": [f"Hello {name}" for name in names] * times}


def show_greet(done: Done[Workspace, Greet]) -> Page:
    """What was said."""
    said = done.results["greet"]["said"]
    page = Page("greeting", {"said": said})
    page.line(", ".join(said), style="strong good")
    return page
