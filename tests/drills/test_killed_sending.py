"""kill -9 while files leave: for an object store, in the middle of a dump, and in the middle of a copy."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from tabsync.stores.open import open_store
from tests.conftest import Databases, run_sql
from tests.postgres.cli.program import TABSYNC, environment, tabsync
from tests.whole import whole


@pytest.fixture
def config(databases: Databases, directory: Path, address: str) -> Path:
    """A database of 25 tables of about two megabytes each, with an empty object store and its config."""
    conninfo = databases()
    for number in range(25):
        rows = f"select i, sha512((i || ' of {number}')::bytea) as b from generate_series(1, 20000) i"
        run_sql(conninfo, f"create table t{number} as {rows}")
    run_sql(conninfo, "analyze")
    quoted = conninfo.replace("\\", "\\\\").replace('"', '\\"')
    path = directory / "tabsync.toml"
    path.write_text(f'database = "{quoted}"\nhome = "{directory}/home"\nstore = "{directory}/store"\n')
    return path


def given() -> dict[str, Any]:
    return {name: value for name, value in os.environ.items() if name.startswith("AZURE_")}


def killed_when(directory: Path, words: list[str], moment: Callable[[], object]) -> None:
    """Run a command and kill it at a moment."""
    process = subprocess.Popen(
        [str(TABSYNC), *words],
        cwd=directory,
        env=environment(directory, **given()),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + 30
    while not moment():
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()


def dumps_of(directory: Path) -> list[psutil.Process]:
    """What still runs for a command that was started in a directory."""
    found = []
    for one in psutil.process_iter(["name", "cmdline"]):
        if one.info["name"] == "pg_dump" and str(directory) in " ".join(one.info["cmdline"] or []):
            found.append(one)
    return found


@whole
def test_killed_while_a_dump_goes_up(config: Path, directory: Path, address: str) -> None:
    store = open_store(address, directory / "elsewhere")
    take = ["backup", "take", "full", "--config", str(config), "--store", address]
    killed_when(directory, take, lambda: len(list(store.objects())) >= 3)
    assert store.ids() == []
    listed = tabsync(directory, "backup", "list", "--config", config, "--store", address, "--json", **given())
    assert listed.json["backups"] == []
    assert dumps_of(directory) == []
    assert list((directory / "home" / "staging").glob("*")) == []
    runs = tabsync(directory, "run", "list", "--config", config, "--json", **given()).json
    assert [one["state"] for one in runs["runs"]] == ["interrupted"]
    again = tabsync(directory, *take, "--json", **given())
    assert again.code == 0, again.err
    manifest = store.manifest(store.ids()[0])
    assert list(store.damaged(manifest)) == []
    assert {file.table for file in manifest.files} == {"", *(f"t{number}" for number in range(25))}


@whole
def test_killed_while_a_copy_is_made(config: Path, directory: Path, address: str) -> None:
    store = open_store(address, directory / "elsewhere")
    assert tabsync(directory, "backup", "take", "full", "--config", config).code == 0
    copy = ["backup", "copy", "--config", str(config), "--to", address]
    killed_when(directory, copy, lambda: len(list(store.objects())) >= 3)
    assert store.ids() == []
    again = tabsync(directory, *copy, "--json", **given())
    assert again.code == 0, again.err
    manifest = store.manifest(store.ids()[0])
    assert again.json["sent_bytes"] < manifest.stored_bytes  # what had arrived was counted on
    assert list(store.damaged(manifest)) == []
    assert list((directory / "home" / "staging").glob("*")) == []
