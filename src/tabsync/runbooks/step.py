"""One command or one SQL block of a step: planned, so that it can be shown, and then carried out exactly so."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tabsync.kernel.errors import Exit, FailedPartway, Refused, TabsyncError, words_of
from tabsync.kernel.page import Page, page_of_plan
from tabsync.kernel.plan import Plan
from tabsync.kernel.procedure import Done, Planned, Procedure, named
from tabsync.kernel.step import Risk
from tabsync.manual.model import Step, StepKind
from tabsync.manual.parts import Command
from tabsync.postgres.settings import Limits
from tabsync.procedures import carry_out, named_in, prepare
from tabsync.procedures.typed import understood
from tabsync.runbooks.sql_write import plan_sql, show_sql

if TYPE_CHECKING:
    from tabsync.kernel.runner import Listener
    from tabsync.workspace import Workspace

_SQL = Limits(lock_timeout=1_000, statement_timeout=10_000)


@dataclass(slots=True)
class Prepared:
    """What will be done. page: it, for people, before it is done; made: its plan, None when it only looks."""

    title: str
    workspace: Workspace
    procedure: Procedure | None = None
    request: Any = None
    made: Planned[Workspace] | None = None
    sql: str = ""

    @property
    def plan(self) -> Plan | None:
        """Its plan."""
        return self.made.plan if self.made else None

    @property
    def risk(self) -> Risk:
        """How much it can hurt."""
        return self.made.plan.risk if self.made and not self.made.only_look else Risk.READ

    @property
    def page(self) -> Page:
        """What it will do."""
        if self.made is None:
            page = Page("step", {"reads": self.sql or self.title})
            page.line(self.sql or f"tabsync {self.title}", whole=True)
            return page
        page = page_of_plan(self.made.plan)
        page.blocks.pop()  # that nothing was changed is said where that is all
        for note in self.made.notes:
            page.note(note)
        return page


@dataclass(slots=True)
class Result:
    """What came of it. error: what stopped it, None when it came to its end."""

    page: Page | None
    seconds: float
    error: TabsyncError | None = None
    run_id: str = ""
    exit_code: Exit = field(default=Exit.DONE)
    risk: Risk = Risk.READ

    @property
    def is_good(self) -> bool:
        """Whether the step counts as done. What only looks is done when it found something wrong."""
        fine = (Exit.DONE, Exit.PROBLEM_FOUND, Exit.UNKNOWN) if self.risk is Risk.READ else (Exit.DONE,)
        return self.error is None and self.exit_code in fine


def parts_of(step: Step) -> tuple[Command | str, ...]:
    """What a step has the program do, in order: its commands, or its SQL. Nothing where a person does it."""
    if step.kind is StepKind.COMMAND:
        return () if asks_who(step) else step.commands
    return (step.block,) if step.kind in (StepKind.SQL, StepKind.SQL_WRITE) else ()


def asks_who(step: Step) -> bool:
    """Whether a command of it asks for a password: a person types it, in a shell of their own."""
    found = (named_in(one.words) for one in step.commands)
    return any(one[0].again for one in found if one)


def prepared(workspace: Workspace, step: Step, part: Command | str) -> Prepared:
    """Plan a part of a step: it only reads. Raises TabsyncError for what can't be planned."""
    with in_words(f"step {step.number}"):
        if isinstance(part, Command):
            return _command(workspace, part)
        if step.kind is StepKind.SQL_WRITE:
            return Prepared("SQL that changes data", workspace, sql=part, made=plan_sql(workspace, part))
        return Prepared("SQL that only reads", workspace, sql=part)


def done(what: Prepared, listener: Listener | None, approval: str) -> Result:
    """Carry out what was prepared. Never raises but KeyboardInterrupt: the result says what stopped it."""
    began = time.monotonic()
    outcome: Done[Workspace, Any] | None = None
    page, error = None, None
    try:
        with in_words(what.title):
            if what.made is not None:
                page, outcome = _run(what, listener, approval)
                error = _stopped(outcome)
            elif what.procedure is not None:
                page = named(what.procedure.read)(what.workspace, what.request)
            else:
                page = _read(what.workspace, what.sql)
    except TabsyncError as stopped:
        error = stopped
    finally:
        if what.made and what.made.done:
            what.made.done()
    error = error or (page.error if page else None)
    code = error.exit_code if error else page.exit_code if page else Exit.DONE
    run_id = outcome.outcome.run_id if outcome and outcome.outcome else ""
    return Result(page, time.monotonic() - began, error, run_id, code, what.risk)


@contextmanager
def in_words(where: str) -> Iterator[None]:
    """Turn whatever goes wrong in the block into an error with a fact: nothing ends a runbook with a traceback."""
    try:
        yield
    except TabsyncError:
        raise
    except Exception as error:
        raise FailedPartway(f"{where}: {words_of(error)}", "to see what was done: tabsync run list") from error


def _command(workspace: Workspace, part: Command) -> Prepared:
    typed = understood(part.words)
    procedure, title = typed.procedure, part.text
    where = _elsewhere(workspace, typed.common)
    if procedure.read:
        return Prepared(title, where, procedure, typed.request)
    if not procedure.plan:
        raise Refused(f"`tabsync {title}` can't be a step: it is typed by a person", f"tabsync {title}")
    return Prepared(title, where, procedure, typed.request, prepare(procedure, where, typed.request))


def _elsewhere(workspace: Workspace, common: dict[str, Any]) -> Workspace:
    """The workspace with the database or the store that a command names."""
    from dataclasses import replace

    from tabsync.workspace import find

    if not (common.get("database") or common.get("store")):
        return workspace
    found = find(workspace.config_path, database=common.get("database"), store=common.get("store"))
    return replace(found, actor=workspace.actor, parent_run=workspace.parent_run)


def _run(what: Prepared, listener: Listener | None, approval: str) -> tuple[Page | None, Done[Workspace, Any]]:
    assert what.made is not None  # noqa: S101 - for the types
    if what.procedure is None:
        from tabsync.kernel.runner import run

        ran = run(what.made.plan, what.workspace, what.workspace.journal(), listener, approval=approval)
        outcome: Done[Workspace, Any] = Done(what.workspace, None, what.made, ran)
        return (show_sql(outcome) if ran.error is None else None), outcome
    outcome = carry_out(what.procedure, what.workspace, what.request, what.made, listener, approval=approval)
    if outcome.outcome is not None and outcome.outcome.error is not None and not what.procedure.shows_failure:
        return None, outcome
    page: Page = named(what.procedure.show)(outcome)
    return page, outcome


def _stopped(outcome: Done[Workspace, Any]) -> TabsyncError | None:
    error = outcome.outcome.error if outcome.outcome else None
    if error is None or isinstance(error, TabsyncError):
        return error
    return FailedPartway(words_of(error), "")


def _read(workspace: Workspace, sql: str) -> Page:
    """The rows of a block that only reads."""
    from tabsync.postgres.readonly import run_readonly

    with workspace.connect("runbook", _SQL) as connection:
        rows = run_readonly(connection, sql, statement_timeout="10s", max_rows=100)
    found = [["" if value is None else str(value) for value in row] for row in rows.rows]
    page = Page(
        "sql", {"columns": list(rows.columns), "rows": [dict(zip(rows.columns, row, strict=True)) for row in found]}
    )
    page.table(rows.columns, found)
    page.line(
        f"{len(found)} row{'s' if len(found) != 1 else ''}{', the first of more' if rows.cut else ''}", style="quiet"
    )
    return page
