"""tabsync runbook run, resume: through a runbook at a terminal, or without one as far as nobody has to be asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from tabsync.kernel.request import Argument, Option

if TYPE_CHECKING:
    from tabsync.cli.terminal import Terminal


@dataclass(frozen=True, slots=True)
class Run:
    """What one may ask of runbook run."""

    runbook: Annotated[str, Argument("The runbook: its title, or a part of it that no other has.")]
    first: Annotated[int, Option("The step to begin with.", ("--from",), minimum=1, metavar="STEP")] = 1
    alert: Annotated[str, Option("The alert that it answers: its id; what it is about is offered to each step.")] = ""
    values: Annotated[
        tuple[str, ...], Option("A value for what a step leaves open: pid=4711.", ("--set",), metavar="NAME=VALUE")
    ] = ()


@dataclass(frozen=True, slots=True)
class Resume:
    """What one may ask of runbook resume."""

    run: Annotated[str, Argument("The run's id, from: tabsync run list; or latest")] = "latest"
    step: Annotated[
        int | None, Option("The step to go on with, also one that was done: it is planned anew.", minimum=1)
    ] = None
    done: Annotated[str, Option("The step was done by hand: what was done.", metavar="NOTE")] = ""
    skip: Annotated[str, Option("Leave the step out: why.", metavar="WHY")] = ""
    stop: Annotated[str, Option("End the run here: why.", metavar="WHY")] = ""
    take_over: Annotated[bool, Option("Take it away from whoever carries it out.")] = False
    values: Annotated[
        tuple[str, ...], Option("A value for what a step leaves open: pid=4711.", ("--set",), metavar="NAME=VALUE")
    ] = ()


def run_command(terminal: Terminal, request: Run) -> int:
    """Go through a runbook."""
    from tabsync.cli.runbook_person import AtTerminal
    from tabsync.manual.load import load
    from tabsync.runbooks.begin import alert_facts
    from tabsync.runbooks.guide import begin, runbook_named, step_of

    workspace = terminal.workspace()
    if terminal.dry_run:
        from tabsync.runbooks.dry_run import look_dry_run

        terminal.page(look_dry_run(workspace, request.runbook, request.first, _values(request.values)))
        return 0
    person = AtTerminal(terminal, _values(request.values))
    if request.first > 1:
        step_of(runbook_named(load(workspace.manual_path), request.runbook), request.first)
    guide = begin(workspace, request.runbook, request.alert, alert_facts(workspace, request.alert))
    return person.go(guide, request.first if request.first > 1 else 0)


def resume_command(terminal: Terminal, request: Resume) -> int:
    """Go on with a run that is open."""
    from tabsync.cli.runbook_person import AtTerminal
    from tabsync.kernel.errors import BadUsage, Refused
    from tabsync.runbooks.going import by_a_person
    from tabsync.runbooks.taken_up import take

    given = [f"--{name}" for name in ("done", "skip", "stop") if getattr(request, name)]
    if len(given) > 1:
        raise BadUsage(f"{' and '.join(given)} together: which is it?", "give one of them")
    guide = take(terminal.workspace(), request.run, over=request.take_over)
    person = AtTerminal(terminal, _values(request.values), request.step or 0)
    if request.stop:
        guide.finish(None, request.stop)
        return person.end(guide, None)
    step = guide.step(request.step) if request.step else guide.next_step()
    if step is not None and request.done:
        if not request.step and not by_a_person(step):  # typed twice, it would tick off what nobody has done
            guide.let_go()
            raise Refused(
                f"the next step is {step.number}, which is carried out from here",
                f"if it was done by hand: tabsync runbook resume {guide.id} --step {step.number} --done NOTE",
            )
        guide.tick(step, request.done)
    elif step is not None and request.skip:
        guide.skip(step, request.skip)
    elif step is not None:
        return person.go(guide, request.step or 0)
    return person.go(guide, 0)


def _values(given: tuple[str, ...]) -> dict[str, str]:
    from tabsync.kernel.errors import BadUsage

    found = {}
    for one in given:
        name, mark, value = one.partition("=")
        if not (mark and name):
            raise BadUsage(f"--set {one!r} has no value", "--set NAME=VALUE, for example --set pid=4711")
        found[name.strip("<>")] = value
    return found
