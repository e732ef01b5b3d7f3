"""tabsync app restart: restart an application, and wait until it is up again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from tabsync.app.configured import application
from tabsync.kernel.page import Page
from tabsync.kernel.plan import Plan
from tabsync.kernel.procedure import Done, Planned
from tabsync.kernel.request import Argument
from tabsync.kernel.step import Facts, Risk, Step, call

if TYPE_CHECKING:
    from tabsync.providers.application import Application
    from tabsync.workspace import Context, Workspace

_BESIDES = 90.0  # seconds of a step besides the wait itself: logging in, and asking


@dataclass(frozen=True, slots=True)
class Restart:
    """What one may ask of app restart."""

    name: Annotated[str, Argument("The application, as [app.NAME] in tabsync.toml calls it.")]


def plan_restart(workspace: Workspace, request: Restart) -> Planned[Workspace]:
    """Plan a restart. Raises TabsyncError for what can't be found or reached."""
    from tabsync.app.slots import notes_on_room

    one = application(workspace, request.name)
    intended = one.restart_plan()
    first = Step(
        "restart",
        f"Restart {one.place}",
        call(restart, name=request.name, facts=intended.facts),
        intended.preview,
        Risk.REVERSIBLE,
        intended.undo,
        deadline=one.timeout + _BESIDES,
        repeatable=True,
        claims=claims(request.name),
    )
    target = {"app": request.name, **intended.target}
    plan = Plan("app restart", f"Restart {one.place}", (first, waiting(one, request.name, intended.facts)), target)
    return Planned(plan, (*intended.notes, *notes_on_room(workspace)))


def waiting(one: Application, name: str, facts: Facts) -> Step:
    """The step that waits until an application is up again."""
    return Step(
        "wait",
        f"Wait until it is up again, {one.timeout:g} s at most",
        call(wait, name=name, facts=facts),
        deadline=one.timeout + _BESIDES,
        claims=claims(name),
    )


def claims(name: str) -> tuple[str, ...]:
    """What nobody else may do at the same time."""
    return (f"app:{name}",)


def restart(context: Context, *, name: str, facts: Facts) -> Facts:
    """Restart it as planned. Raises TabsyncError with what the other side said."""
    return application(context.workspace, name).restart(facts)


def wait(context: Context, *, name: str, facts: Facts) -> Facts:
    """Wait until it is up again. Raises FailedPartway with what is not."""
    done = next(context.results[key] for key in ("restart", "switch") if key in context.results)
    return application(context.workspace, name).wait(facts, done, context.report)


def show_restart(done: Done[Workspace, Restart]) -> Page:
    """What was restarted, and how it is now."""
    name, results = done.request.name, done.results
    page = Page("app restart", {"app": name, "restart": results["restart"], "wait": results["wait"]})
    page.line((f"RESTARTED {name}", "strong good"), f": {results['wait']['told']}")
    output(page, results["restart"])
    return page


def output(page: Page, facts: Facts) -> None:
    """What a command printed."""
    for line in facts.get("output", ()):
        page.line(line, style="quiet")
