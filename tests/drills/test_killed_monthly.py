"""kill -9 in a monthly drill on staging: the next command drops what it left there, and nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tabsync.backups.restore.staging import sweep_staging
from tabsync.cli.leftovers import delete_leftovers
from tabsync.cli.tree import program
from tabsync.postgres import embedded
from tabsync.workspace import Workspace
from tests.conftest import run_sql
from tests.drills.test_drill import left_behind
from tests.drills.test_killed import processes_for
from tests.drills.test_monthly import databases
from tests.drills.test_restore import backed_up
from tests.servers import running_server
from tests.whole import whole


@pytest.fixture(scope="module")
def staging() -> Iterator[embedded.Server]:
    with running_server("staging") as server:
        yield server


@dataclass(frozen=True)
class Site:
    """A workspace with a backup, the staging server, and whoever kills a drill."""

    workspace: Workspace
    staging: str
    directory: Path

    def kill(self, moment: str, step: str, staging: str = "") -> str:
        """Drill in a process that kills itself; gives the database that it left on staging, "" for none."""
        before = databases(self.staging)
        names = ("home", "store_root", "manual_path", "conninfo", "ledger_url")
        given = json.dumps({name: str(getattr(self.workspace, name)) for name in names})
        (self.directory / "workspace.json").write_text(given)
        command = [sys.executable, "-m", "tests.drills.killed_monthly", str(self.directory / "workspace.json")]
        command += [moment, step, staging or self.staging]
        done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=120)
        assert done.returncode == -9, done.stderr
        return "".join(databases(self.staging) - before)

    def notes(self) -> list[Path]:
        return list((self.workspace.home / "staging-databases").glob("*"))


@pytest.fixture
def site(
    tabsync_database: Callable[..., str],
    workspaces: Callable[..., Workspace],
    directory: Path,
    staging: embedded.Server,
) -> Iterator[Site]:
    workspace = workspaces(tabsync_database())
    backed_up(workspace)
    yield Site(workspace, staging.conninfo(), directory)
    for name in databases(staging.conninfo()) - {"postgres"}:
        run_sql(staging.conninfo(), "drop database {} with (force)", name)


@pytest.mark.parametrize("step", ["create", "restore", "verify", "record"])
def test_any_command_drops_what_a_dead_drill_left(site: Site, step: str) -> None:
    left = site.kill("after", step)
    assert left
    delete_leftovers(site.workspace)
    assert databases(site.staging) == {"postgres"}
    assert (site.notes(), left_behind(site.workspace), processes_for(site.directory)) == ([], [], [])


def test_what_is_not_the_very_database_stays(site: Site) -> None:
    """One of the same name that somebody made since, and one that was made and is still bearing another run's mark."""
    left = site.kill("after", "amcheck")
    run_sql(site.staging, "drop database {}", left)
    run_sql(site.staging, "create database {}", left)
    run_sql(site.staging, "comment on database {} is 'tabsync: unfinished restore, run 1; it is not whole'", left)
    delete_leftovers(site.workspace)
    assert databases(site.staging) == {"postgres", left}
    assert site.notes() == []


def test_one_whose_number_was_not_noted_yet_is_known_by_its_comment(site: Site) -> None:
    site.kill("after", "create")
    (note,) = site.notes()
    facts = json.loads((note / "note.json").read_text())
    (note / "note.json").write_text(json.dumps(facts | {"oid": None}))
    delete_leftovers(site.workspace)
    assert databases(site.staging) == {"postgres"}


@whole
def test_the_next_monthly_drill_says_that_it_dropped_it(site: Site) -> None:
    left = site.kill("after", "amcheck")
    (site.directory / "tabsync.toml").write_text(
        f'store = "{site.workspace.store_root}"\nhome = "{site.workspace.home}"\n'
    )
    asked = ["drill", "monthly", "--config", str(site.directory / "tabsync.toml"), "--staging", site.staging]
    done = CliRunner().invoke(program(), [*asked, "--database", site.workspace.conninfo, "--drop"])
    assert done.exit_code == 0, done.output
    assert f"database {left} on staging" in " ".join(done.stderr.split())
    assert databases(site.staging) == {"postgres"}
    assert site.notes() == []


def test_a_staging_server_that_cannot_be_asked_is_asked_again_and_no_password_is_noted(site: Site) -> None:
    """A password that is only in the connection string is nowhere written: then the next drill brings it along."""
    run_sql(site.staging, "create role driller superuser login password 'never to be noted'")
    parts = {
        key: value
        for key, value in conninfo_to_dict(site.staging).items()
        if key not in ("passfile", "user", "password")
    }
    with_password = make_conninfo("", **parts, user="driller", password="never to be noted")
    left = site.kill("after", "verify", with_password)
    (note,) = site.notes()
    assert "never to be noted" not in (note / "note.json").read_text()
    delete_leftovers(site.workspace)
    assert left in databases(site.staging)
    assert sweep_staging(site.workspace, with_password) == [left]
    assert databases(site.staging) == {"postgres"}
    assert site.notes() == []
    run_sql(site.staging, "drop role driller")
