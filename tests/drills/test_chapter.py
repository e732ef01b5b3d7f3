"""The first manual's chapter on backups, line by line: each of its commands has its line, each of its classes runs."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tabsync.backups.provider import provider_state
from tabsync.manual.load import load
from tabsync.manual.model import Manual
from tabsync.profiles.tabsync import PROFILE_MANUAL
from tabsync.workspace import find
from tests.postgres.cli.program import tabsync
from tests.postgres.providers.conftest import api
from tests.postgres.providers.supabase import REF, Api

__all__ = ["api"]

GIVEN = {
    "pg_dump --format=custom": "backup take full --format custom",
    "pg_dump --format=plain": "backup take full --format plain",
    "pg_dump --schema-only": "backup take schema",
    "pg_dump --data-only": "backup take data",
    "pg_dump --table=users --table=orders --table=payments": "backup take tables users orders payments",
    "pg_restore --clean --if-exists": "restore in-place --clean",
    "psql < backup.sql": "restore new --file",
    "pg_restore --table=users": "restore tables users",
    "PITR, at the provider": "restore managed",
    "PITR, on a server of one's own": "restore to-time",
    "Manual Full Backup, weekly": "backup take full",
    "Monthly: test restore to staging": "drill monthly",
    "Quarterly: full disaster recovery drill": "drill quarterly",
    "Before a deployment: a backup exists and is restorable": "drill --backup latest",
    "data corruption: a backup at once": "backup take full --reason emergency",
    "pre-migration": "backup take full --reason pre-migration",
}


@pytest.fixture(scope="module")
def manual() -> Manual:
    return load(PROFILE_MANUAL)


@pytest.mark.parametrize("theirs", GIVEN)
def test_each_command_of_the_chapter_has_its_line(theirs: str) -> None:
    text = PROFILE_MANUAL.read_text()
    lines = [line.strip(" `-") for line in text.splitlines()]
    inline = [part.removeprefix("tabsync ") for line in text.splitlines() for part in line.split("`")[1::2]]
    ours = GIVEN[theirs]
    assert any(line.startswith(ours) for line in [*lines, *inline]), ours


def test_the_five_classes_run(
    manual: Manual, tabsync_database: Callable[[], str], address: str, directory: Path, api: Api
) -> None:
    """Weekly, before a migration, daily, and what the provider takes: with the stores that the manual names."""
    config = directory / "tabsync.toml"
    conninfo = tabsync_database().replace("\\", "\\\\").replace('"', '\\"')
    config.write_text(
        f'profile = "tabsync"\ndatabase = "{conninfo}"\nstore = "{directory}/store"\nhome = "{directory}/home"\n'
        'provider = "supabase"\n'
        f'project = "{REF}"\n[stores]\nLocal = "{directory}/store"\n"Azure Blob Storage" = "{address}"\n'
    )
    given = ["--config", str(config), "--json"]
    env: dict[str, Any] = {name: value for name, value in os.environ.items() if name.startswith("AZURE_")}
    takes = {
        "full": ["full", "--reason", "scheduled"],
        "pre-migration": ["full", "--reason", "pre-migration"],
        "critical-tables": ["tables", "users", "orders", "payments", "--reason", "scheduled"],
    }
    for arguments in takes.values():
        done = tabsync(directory, "backup", "take", *arguments, *given, **env)
        assert done.code == 0, done.err
    workspace = find(config)
    for store in ([], ["--store", address]):
        listed = tabsync(directory, "backup", "list", *given, *store, **env).json
        assert [one["class"] for one in listed["backups"]] == list(takes)
        assert all(one["expires_at"] for one in listed["backups"])
    state = provider_state(workspace)
    assert state is not None
    assert state["window"] and state["snapshots"]
    names = [row.name for row in manual.retention]
    assert names == ["pitr", *takes, "ledger"]
    assert all(row.stores for row in manual.retention)
    workspace.close()


def test_nothing_of_the_chapter_is_left_unbuilt(directory: Path) -> None:
    told = tabsync(directory, "manual", "check", PROFILE_MANUAL).out
    chapter = ("backup ", "restore ", "drill", "wal ", "key ", "health", "status")
    unbuilt = [line.split(": tabsync ")[1] for line in told.splitlines() if ": tabsync " in line]
    assert [line for line in unbuilt if line.startswith(chapter)] == []
    assert len(unbuilt) < 35
