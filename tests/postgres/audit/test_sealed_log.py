"""audit seal and verify on the log that the database writes itself, by their commands."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from tabsync.audit.seals.seal import plan_seal, show_seal
from tabsync.audit.seals.verify import Verify, plan_verify, show_verify
from tabsync.kernel.errors import Refused
from tabsync.kernel.page import Page
from tabsync.kernel.plan import Plan, plan_from_json
from tabsync.kernel.procedure import Done, Planned
from tabsync.kernel.request import Nothing
from tabsync.kernel.runner import run
from tabsync.workspace import Workspace

Asked = Callable[[Workspace, Any], Plan]


def does(workspace: Workspace, plan: Asked, show: Callable[[Any], Page], request: Any) -> Page:
    made = plan(workspace, request)
    outcome = run(plan_from_json(made.to_json()), workspace, workspace.journal())
    outcome.raise_if_failed()
    return show(Done(workspace, request, Planned(made), outcome))


def sealed(workspace: Workspace) -> Page:
    return does(workspace, plan_seal, show_seal, Nothing())


def verified(workspace: Workspace) -> Page:
    return does(workspace, plan_verify, show_verify, Verify())


@pytest.fixture
def workspace(audited_database: Callable[..., str], workspaces: Callable[..., Workspace]) -> Workspace:
    return workspaces(audited_database())


def test_what_people_do_is_sealed_and_as_it_was(workspace: Workspace) -> None:
    with psycopg.connect(workspace.conninfo) as session:
        session.execute("update users set full_name = full_name || ' jr.'")
        session.execute("update orders set notes = 'no onions' where status = 'DELIVERED'")
    page = sealed(workspace)
    assert page.data["rows"] > 200
    found = verified(workspace)
    assert found.exit_code == 0
    assert (found.data["wrong"], found.data["anchors"], found.data["since"]) == ("", 1, 0)
    assert found.data["before"] > 0  # what the application had written before


def test_a_superuser_who_changes_an_entry_is_found(workspace: Workspace) -> None:
    with psycopg.connect(workspace.conninfo) as session:
        session.execute("update users set full_name = 'Mallory' where role = 'SUPER_ADMIN'")
    sealed(workspace)
    with psycopg.connect(workspace.conninfo) as session:
        session.execute("set session_replication_role = replica")
        session.execute("alter table audit_logs disable trigger all")
        session.execute("update audit_logs set db_user = 'ann' where action = 'UPDATE' and table_name = 'public.users'")
    page = verified(workspace)
    assert page.exit_code == 1
    assert "UPDATE of public.users" in page.data["wrong"]
    assert "was changed after it was sealed" in page.data["wrong"]


def test_without_a_log_it_is_said(tabsync_database: Callable[..., str], workspaces: Callable[..., Workspace]) -> None:
    workspace = workspaces(tabsync_database())
    with pytest.raises(Refused, match="is not installed"):
        plan_seal(workspace, Nothing())
    with pytest.raises(Refused, match="is not installed"):
        plan_verify(workspace, Verify())


def test_nothing_sealed_is_not_fine(workspace: Workspace) -> None:
    assert verified(workspace).exit_code == 1
