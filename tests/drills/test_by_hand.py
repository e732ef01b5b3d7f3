"""The README's way to restore without this program is carried out as it stands there."""

from __future__ import annotations

import re
import shutil
import subprocess
import textwrap
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tabsync.backups.take import plan_take_full
from tabsync.backups.take_physical import plan_take_physical
from tabsync.kernel.runner import run
from tabsync.postgres import embedded
from tabsync.postgres.conninfo import libpq_environment
from tabsync.stores.keys import Keys, new_identity
from tabsync.system.account import server_account
from tabsync.system.claims import claim
from tabsync.workspace import Workspace
from tests.conftest import missing, run_sql
from tests.servers import running_server
from tests.sessions import connect

_README = Path(__file__).parents[2] / "README.md"


def commands(number: int) -> str:
    """A block of the section: 0 is for dumps, 1 for physical backups."""
    section = _README.read_text().split("## Restoring without TabSync")[1].split("\n## ")[0]
    blocks = re.findall(r"(?:^    .*\n|^\n)+", section, flags=re.MULTILINE)
    return textwrap.dedent([block for block in blocks if block.strip()][number])


@pytest.mark.parametrize("sealed", [False, True], ids=["plain", "encrypted"])
def test_the_readme_restores_a_backup(
    sealed: bool, tabsync_database: Callable[..., str], workspaces: Callable[..., Workspace], directory: Path
) -> None:
    workspace = workspaces(tabsync_database())
    if sealed:
        if shutil.which("age") is None:
            missing("the program age")
        workspace = replace(workspace, keys=Keys((new_identity(directory / "identity"),)))
    outcome = run(plan_take_full(workspace), workspace, workspace.journal())
    outcome.raise_if_failed()
    backup = outcome.results["commit"]["backup"]
    with running_server("byhand") as server:
        env = libpq_environment(server.conninfo())
        path = f"{server.installation.bindir}:/usr/local/bin:/usr/bin:/bin"
        script = "set -eu\n" + commands(0).replace("manifests/ID.json", f"manifests/{backup}.json")
        done = subprocess.run(
            ["sh", "-c", script], cwd=directory, env={**env, "PATH": path}, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        name = workspace.store().manifest(backup).source["database"]
        with connect(server.conninfo(name), "tests") as connection:
            row = connection.execute("select count(*) from orders").fetchone()
    assert row == (300,)


def test_the_readme_restores_a_physical_backup(workspaces: Callable[..., Workspace], directory: Path) -> None:
    with running_server("source", wal_level="replica", max_wal_senders="5") as source:
        run_sql(source.conninfo(), "create table {} as select i from generate_series(1, 300) i", "numbers")
        workspace = workspaces(source.conninfo())
        outcome = run(plan_take_physical(workspace), workspace, workspace.journal())
        outcome.raise_if_failed()
        backup = outcome.results["commit"]["backup"]
        password = (source.directory / "pgpass").read_text()
    held = claim(directory / "back")
    assert held is not None
    script = "set -eu\n" + commands(1).replace("manifests/ID.json", f"manifests/{backup}.json")
    script = script.replace("store/", f"{directory}/store/")
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", script], cwd=held.directory, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    server = embedded.opened(held.directory, settings=embedded.SCRATCH_SETTINGS)
    held.directory.chmod(0o711)
    for path in (server.data, *server.data.rglob("*")):
        server_account().own(path)
    (held.directory / "pgpass").write_text(password)
    (held.directory / "pgpass").chmod(0o600)
    try:
        embedded.start(server)
        with connect(server.conninfo(), "tests") as connection:
            assert connection.execute("select count(*) from numbers").fetchone() == (300,)
    finally:
        embedded.destroy(server)
        held.release()
