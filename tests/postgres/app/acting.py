"""Procedures of the application, planned and run as every surface does it."""

from __future__ import annotations

from typing import Any

from tabsync.kernel.page import Page
from tabsync.kernel.procedure import Done, Planned, named
from tabsync.procedures import carry_out, find, prepare, request_of
from tabsync.workspace import Workspace


def planned(workspace: Workspace, words: str, **values: Any) -> Planned[Workspace]:
    """The plan of a procedure."""
    procedure = find(words)
    assert procedure
    return prepare(procedure, workspace, request_of(procedure, values))


def acted(workspace: Workspace, words: str, made: Planned[Workspace] | None = None, **values: Any) -> Page:
    """Plan a procedure and run it, or a plan that is there already. Raises what stopped it."""
    procedure = find(words)
    assert procedure
    request = request_of(procedure, values)
    made = made or prepare(procedure, workspace, request)
    done: Done[Workspace, Any] = carry_out(procedure, workspace, request, made, approval="tests")
    done.ran.raise_if_failed()
    page: Page = named(procedure.show)(done)
    return page


def looked(workspace: Workspace, words: str, **values: Any) -> Page:
    """What a procedure that only reads shows."""
    procedure = find(words)
    assert procedure
    page: Page = named(procedure.read)(workspace, request_of(procedure, values))
    return page


def text_of(page: Page) -> str:
    """All that a page says."""
    return "\n".join(str(one) for one in page.blocks)
