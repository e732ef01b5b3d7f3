"""The README's way to restore without this program is carried out as it stands there."""

from __future__ import annotations

import shutil
import subprocess
import textwrap
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tabsync.backups.take import plan_take_full
from tabsync.kernel.runner import run
from tabsync.postgres.connect import connect, libpq_environment
from tabsync.stores.keys import Keys, new_identity
from tabsync.workspace import Workspace
from tests.conftest import missing
from tests.servers import running_server

_README = Path(__file__).parents[2] / "README.md"


def commands() -> str:
    """The block of the section."""
    section = _README.read_text().split("## Restoring without TabSync")[1].split("\n## ")[0]
    return textwrap.dedent(
        "\n".join(line for line in section.splitlines() if line.startswith("    ") or not line.strip())
    )


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
        script = "set -eu\n" + commands().replace("manifests/ID.json", f"manifests/{backup}.json")
        done = subprocess.run(
            ["sh", "-c", script], cwd=directory, env={**env, "PATH": path}, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        name = workspace.store().manifest(backup).source["database"]
        with connect(server.conninfo(name), "tests") as connection:
            row = connection.execute("select count(*) from orders").fetchone()
    assert row == (300,)
