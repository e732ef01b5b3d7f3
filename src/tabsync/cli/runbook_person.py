"""Who goes through a runbook at a terminal; without one, a script, which can't be asked."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from tabsync.cli.terminal import Terminal
    from tabsync.kernel.errors import TabsyncError
    from tabsync.kernel.runner import Listener
    from tabsync.manual.model import Step
    from tabsync.runbooks.candidates import Likely
    from tabsync.runbooks.going import Choice
    from tabsync.runbooks.guide import Guide
    from tabsync.runbooks.recovery import Waited
    from tabsync.runbooks.step import Prepared, Result


@dataclass(slots=True)
class AtTerminal:
    """A person at a terminal; without one, a script that can't be asked. values: for what steps leave open.

    again: the step that somebody has named, to be done also when it may have been done already.
    """

    terminal: Terminal
    values: Mapping[str, str]
    again: int = 0
    asks: bool = field(init=False)

    def __post_init__(self) -> None:
        self.asks = sys.stdin.isatty() and sys.stderr.isatty() and not self.terminal.json and not self.terminal.yes

    def go(self, guide: Guide, first: int) -> int:
        """Through the steps that are open, and say how it ended."""
        from tabsync.kernel.errors import Refused
        from tabsync.runbooks.going import go
        from tabsync.runbooks.show import heading

        self._page(heading(guide))
        try:
            waited = go(guide, self, first)
        except click.Abort:
            guide.let_go()
            hint = f"to go on: tabsync runbook resume {guide.id}"
            raise Refused(
                "the question was not answered; what was done stays done, and the run is open", hint
            ) from None
        return self.end(guide, waited)

    def end(self, guide: Guide, waited: Waited | None) -> int:
        """Say how it ended; returns the exit code."""
        from tabsync.runbooks.show import ending

        guide.let_go()
        page = ending(guide, waited)
        self.terminal.page(page)
        return int(page.exit_code)

    def meets(self, guide: Guide, step: Step) -> None:
        """The heading of a step."""
        if not self.terminal.json:
            click.echo(err=True)
            click.echo(
                click.style(f"Step {step.number} of {guide.runbook.steps[-1].number}: ", bold=True) + _plain(step.text),
                err=True,
            )

    def fills(self, step: Step, likely: Mapping[str, list[Likely]]) -> Mapping[str, str] | Choice:
        """Ask for each value, with what is likely as the default."""
        from tabsync.runbooks.going import Choice

        found = {}
        for name, offered in likely.items():
            if name in self.values:
                found[name] = self.values[name]
            elif self.asks:
                for one in offered:
                    click.echo(f"  {_plain(one.value)}" + (f"  {_plain(one.told)}" if one.told else ""), err=True)
                told = click.prompt(name, default=_plain(offered[0].value) if offered else "", err=True)
                if not told:
                    return Choice("stop")
                found[name] = told
            else:
                seen = [
                    f"{_plain(one.value)} ({_plain(one.told)})" if one.told else _plain(one.value) for one in offered
                ]
                likely_told = f"; likely: {', '.join(seen)}" if seen else ""
                self.terminal.note(f"this step needs a value for <{name}>{likely_told}: --set {name}=...", "hint")
                return Choice("stop")
        return found

    def decides(self, step: Step, what: Prepared, *, needless: bool, unsure: bool) -> Choice:
        """Show the plan, and ask."""
        from tabsync.kernel.step import Risk
        from tabsync.runbooks.going import Choice

        self._page(what.page)
        if needless:
            self.terminal.note(
                "this step would help nobody: what the runbook is for holds already, or a step before has said so"
            )
        if unsure:
            self.terminal.note("the process that did this step died: it may have been done already. Look first")
        plan = what.plan
        if self.terminal.yes and unsure and what.risk is Risk.DESTRUCTIVE and self.again != step.number:
            told = f"if it was not done: --step {step.number} --yes; if it was: --done NOTE"
            self.terminal.note(told, "hint")
            return Choice("stop")
        if self.terminal.yes:
            return Choice("skip", "it would help nobody") if needless else Choice("do", approval="--yes")
        if not self.asks:
            self.terminal.note("this step changes something: a terminal is needed to be asked, or --yes", "hint")
            return Choice("stop")
        if plan is not None and what.risk is Risk.DESTRUCTIVE:
            typed = click.prompt(f"Type {plan.confirm!r} to do it, s to skip it, q to stop here", err=True, default="q")
            return Choice("do", approval="typed") if typed == plan.confirm else self._other(typed)
        return self._asked(
            "Do it? [y]es, [s]kip it, [q] stop here", "s" if needless else "y", {"y": Choice("do", approval="asked")}
        )

    def does(self, step: Step) -> Choice:
        """Ask whether a person has done it."""
        from tabsync.runbooks.going import Choice

        if step.block and not self.terminal.json:
            click.echo(_plain(step.block), err=True)
        if not self.asks:
            self.terminal.note("a person does this step", "hint")
            return Choice("stop")
        choice = self._asked("Done? [d]one, [s]kip it, [q] stop here", "", {"d": Choice("done")})
        if choice.what != "done":
            return choice
        return Choice("done", click.prompt("What was done", default="", show_default=False, err=True))

    def sees(self, step: Step, result: Result) -> None:
        """What came of it."""
        if result.page is not None:
            self._page(result.page)
        if result.error is not None:
            self.terminal.note(result.error.fact, "error")
            if result.error.hint:
                self.terminal.note(result.error.hint, "hint")

    def after_failure(self, step: Step, error: TabsyncError | None) -> Choice:
        """Ask whether to try it again; a script goes on after what only looks, and stops at what was to act."""
        from tabsync.kernel.step import Risk
        from tabsync.runbooks.going import Choice
        from tabsync.runbooks.parent import risk_of

        if self.asks:
            again = {"a": Choice("again"), "g": Choice("skip", "went on after it failed")}
            return self._asked("It failed. [a]gain, [g]o on with the next, [q] stop here", "a", again)
        if risk_of(step) is Risk.READ:
            return Choice("skip", "went on after it failed")
        return Choice("stop")

    def listener(self) -> Listener:
        """The terminal's own."""
        return self.terminal.listener()

    def waits(self, guide: Guide) -> Waited | None:
        """Wait for the metric; Ctrl-C goes on without."""
        from tabsync.runbooks.recovery import told

        lines = "; ".join(one.text for one in guide.runbook.recovers)
        stop = " (Ctrl-C: don't wait)" if self.asks else ""
        self.terminal.note(f"waiting for: {lines}{stop}")
        try:
            waited = guide.wait(_Held(quiet=self.terminal.json))
        except KeyboardInterrupt:
            if not self.asks:
                raise
            return None
        self.terminal.note(told(waited))
        return waited

    def recovered(self, guide: Guide, waited: Waited) -> bool:
        """Whether to stop; a script does, and leaves the rest open for a person."""
        step = guide.next_step()
        if not self.asks or step is None:
            return True
        told = f"It has recovered. Go on with step {step.number} all the same?"
        return not click.confirm(told, default=False, err=True)

    def _asked(self, question: str, default: str, choices: Mapping[str, Choice]) -> Choice:
        while True:
            typed = click.prompt(question, default=default, show_default=bool(default), err=True).strip().lower()[:1]
            if typed in choices:
                return choices[typed]
            if typed in ("s", "q"):
                return self._other(typed)

    def _other(self, typed: str) -> Choice:
        from tabsync.runbooks.going import Choice

        if typed == "s":
            return Choice("skip", click.prompt("Why", default="", show_default=False, err=True))
        return Choice("stop")

    def _page(self, page: object) -> None:
        if not self.terminal.json:
            self.terminal.page(page)  # type: ignore[arg-type]


@dataclass(slots=True)
class _Held:
    """Says now and then for how long it has held."""

    quiet: bool
    last: int = -1

    def __call__(self, done: float, total: float, _unit: str) -> None:
        tens = int(done // 10)
        if tens != self.last and done and not self.quiet:
            click.echo(f"  held for {done:.0f} of {total:.0f} s", err=True)
        self.last = tens


def _plain(text: str) -> str:
    from tabsync.kernel.plain import plain

    return plain(text)
