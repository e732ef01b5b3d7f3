"""The key of signed claims: from a file that is created for its owner only, and nowhere else to be found."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from tabsync.audit.acting import acting_as
from tabsync.audit.install import Install, plan_install
from tabsync.kernel.errors import Refused
from tabsync.kernel.plan import Plan
from tabsync.kernel.runner import run
from tabsync.workspace import Workspace


def key_plan(workspace: Workspace, file: Path) -> Plan:
    """The step about the key alone; the others are done already."""
    made = plan_install(workspace, Install(claims_key=file)).plan
    return Plan(made.procedure, made.title, tuple(one for one in made.steps if one.key == "key"), made.target)


def how(workspace: Workspace, key: bytes) -> object:
    with psycopg.connect(workspace.conninfo, autocommit=True) as session:
        with acting_as(session, "ann", key=key):
            session.execute("update users set full_name = full_name || '.' where role = 'SUPER_ADMIN'")
        return (session.execute("select actor_how from audit_logs order by id desc limit 1").fetchone() or ("",))[0]


def test_a_key_is_created_taken_over_and_replaced(
    audited_database: Callable[..., str], workspaces: Callable[..., Workspace], directory: Path
) -> None:
    workspace, first, second = workspaces(audited_database()), directory / "first.key", directory / "second.key"
    run(key_plan(workspace, first), workspace, workspace.journal()).raise_if_failed()
    assert stat.S_IMODE(first.stat().st_mode) == 0o600
    key = first.read_bytes()
    assert len(key) == 64
    assert how(workspace, key) == "signed"
    second.write_text("k" * 40 + "\n")
    run(key_plan(workspace, second), workspace, workspace.journal()).raise_if_failed()
    assert how(workspace, key) == "invalid"
    assert how(workspace, b"k" * 40) == "signed"
    ledger = b"".join(path.read_bytes() for path in workspace.home.rglob("*") if path.is_file())
    assert b"second.key" in ledger
    assert b"k" * 40 not in ledger


def test_a_key_that_is_too_short_or_not_there_to_be_created_is_refused(
    audited_database: Callable[..., str], workspaces: Callable[..., Workspace], directory: Path
) -> None:
    workspace = workspaces(audited_database())
    (directory / "short.key").write_text("k" * 31)
    for name, told in (("short.key", "has 31 bytes, and needs 32"), ("none/there.key", "can't be read")):
        outcome = run(key_plan(workspace, directory / name), workspace, workspace.journal())
        with pytest.raises(Refused, match=told):
            outcome.raise_if_failed()
