"""The history of the real Prisma: what its own command line did is what is told of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from tabsync.kernel.page import Page
from tabsync.migrations.status import Status, look_status
from tabsync.migrations.tools.prisma import LOCK
from tabsync.workspace import Workspace
from tests.prisma import Prisma

_MODELS = "model Plate {\n  id Int @id\n}\n"
_SEEN = ["there", "there", "absent", "absent"]
_FIRST = "create table plate (id int primary key);\n"
_BROKEN = """
alter table plate add column size int;
create index plate_size on plate (size);
alter table plate add constraint odd check (id / (id - id) = 1), add z int default (1 / 0);
alter table plate add x int;
"""


def told(page: Page) -> dict[str, str]:
    """The state of each migration."""
    (one,) = page.data["histories"]
    return {each["name"]: each["state"] for each in one["migrations"]}


@pytest.fixture
def project(databases: Callable[..., str], directory: Path) -> tuple[str, Prisma, Path]:
    conninfo = databases()
    folder = directory / "migrations"
    for name, statements in (("1_first", _FIRST), ("2_broken", _BROKEN), ("3_last", "select 1;\n")):
        (folder / name).mkdir(parents=True)
        (folder / name / "migration.sql").write_text(statements)
    (folder / "migration_lock.toml").write_text('provider = "postgresql"\n')
    return conninfo, Prisma(directory, conninfo, _MODELS), folder


def test_a_deployment_that_failed_in_the_middle(
    project: tuple[str, Prisma, Path], workspaces: Callable[..., Workspace]
) -> None:
    conninfo, prisma, folder = project
    workspace = workspaces(conninfo)
    assert look_status(workspace, Status()).headline.startswith("NO HISTORY OF MIGRATIONS")
    code, printed = prisma.migrate("deploy")
    assert code == 1, printed
    page = look_status(workspace, Status(folder))
    assert told(page) == {"1_first": "applied", "2_broken": "failed", "3_last": "pending"}
    assert page.exit_code == 1
    assert page.headline == "1 FAILED: Prisma, public._prisma_migrations"
    assert "division by zero" in str(page.data)
    assert [one["found"] for one in page.data["failed"]["2_broken"]] == _SEEN
    (folder / "1_first" / "migration.sql").write_text(_FIRST.replace("int", "bigint"))
    (failed, edited) = sorted(page.data["histories"][0]["migrations"], key=lambda one: one["name"] != "2_broken")[:2]
    assert (failed["edited"], edited["edited"]) == (False, False)
    after = {one["name"]: one for one in look_status(workspace, Status(folder)).data["histories"][0]["migrations"]}
    assert after["1_first"]["edited"]
    (folder / "1_first" / "migration.sql").write_text(_FIRST.replace("\n", "\r\n"))  # as git may check it out
    after = {one["name"]: one for one in look_status(workspace, Status(folder)).data["histories"][0]["migrations"]}
    assert after["1_first"]["edited"] is False


def test_who_holds_the_lock_is_named(project: tuple[str, Prisma, Path], workspaces: Callable[..., Workspace]) -> None:
    conninfo, _, folder = project
    with psycopg.connect(conninfo, application_name="deploy 7") as session:
        session.execute("select pg_advisory_lock(%s)", [LOCK])
        page = look_status(workspaces(conninfo), Status(folder))
        (one,) = page.data["locks"]
        assert (one["application"], one["pid"], one["granted"]) == ("deploy 7", session.info.backend_pid, True)
