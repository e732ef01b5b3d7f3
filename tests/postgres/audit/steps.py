"""Runs the chapter's plans, whole or up to a statement at which the process dies."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from tabsync.audit.install import Install, plan_install, show_install
from tabsync.audit.remove import plan_remove, show_remove
from tabsync.audit.repair import plan_repair, show_repair
from tabsync.audit.status import look_status
from tabsync.kernel.page import Page
from tabsync.kernel.plan import Plan, plan_from_json
from tabsync.kernel.procedure import Done
from tabsync.kernel.request import Nothing
from tabsync.kernel.runner import run
from tabsync.kernel.step import Facts, Step
from tabsync.workspace import Workspace


class Died(BaseException):
    """The process is gone: nobody catches it."""


class Silent:
    """A journal that keeps nothing: one that died in this process would count as alive."""

    def begin(self, plan: Plan, approval: str) -> str:
        return "a run"

    def step_started(self, run_id: str, number: int, step: Step) -> None: ...

    def step_finished(self, run_id: str, number: int, facts: Facts, seconds: float) -> None: ...

    def step_failed(self, run_id: str, number: int, fact: str, hint: str, seconds: float) -> None: ...

    def finish(self, run_id: str, state: str) -> None: ...


def does(workspace: Workspace, plan: Callable[..., Any], show: Callable[..., Page]) -> Page:
    """Plan, run from the plan's JSON, and show."""
    request: Any = Install() if plan is plan_install else Nothing()
    made = plan(workspace, request)
    outcome = run(plan_from_json(made.plan.to_json()), workspace, Silent())
    outcome.raise_if_failed()
    return show(Done(workspace, request, made, outcome))


def installs(workspace: Workspace) -> Page:
    return does(workspace, plan_install, show_install)


def removes(workspace: Workspace) -> Page:
    return does(workspace, plan_remove, show_remove)


def repairs(workspace: Workspace) -> Page:
    return does(workspace, plan_repair, show_repair)


def status(workspace: Workspace) -> Page:
    return look_status(workspace, Nothing())


@contextmanager
def dies_at(patch: pytest.MonkeyPatch, number: int) -> Iterator[list[str]]:
    """The process dies before its statement of that number: its sessions end, and nothing more is done."""
    done: list[str] = []
    execute = psycopg.Cursor.execute
    ours = threading.get_ident()

    def counted(self: Any, query: Any, *given: Any, **named: Any) -> Any:
        if threading.get_ident() == ours:
            done.append(str(query))
        if len(done) == number and threading.get_ident() == ours:
            self.connection.close()
            raise Died
        return execute(self, query, *given, **named)

    with patch.context() as inner:
        inner.setattr(psycopg.Cursor, "execute", counted)
        yield done
