"""The history of the real Prisma: what its own command line did is what is told of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from tabsync.kernel.errors import BadUsage, Refused
from tabsync.kernel.page import Page
from tabsync.kernel.runner import run
from tabsync.migrations.resolve import Resolve, plan_resolve
from tabsync.migrations.status import Status, look_status
from tabsync.migrations.tools.prisma import LOCK
from tabsync.migrations.undo.undo import Undo, plan_undo
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


def resolves(workspace: Workspace, folder: Path, name: str = "2_broken", **asked: bool | str) -> None:
    plan = plan_resolve(workspace, Resolve(name, folder, **asked)).plan  # type: ignore[arg-type]
    run(plan, workspace, workspace.journal(), approval="--yes").raise_if_failed()


def test_what_is_left_keeps_it_from_being_resolved_until_it_is_gone(
    project: tuple[str, Prisma, Path], workspaces: Callable[..., Workspace]
) -> None:
    conninfo, prisma, folder = project
    workspace = workspaces(conninfo)
    assert prisma.migrate("deploy")[0] == 1
    claims: list[dict[str, bool | str]] = [{"rolled_back": True}, {"applied": True}]
    for asked in claims:
        with pytest.raises(Refused, match="of its 4 statements are 2"):
            resolves(workspace, folder, "2_broken", **asked)
    wrong_ones: list[dict[str, bool | str]] = [{}, {"rolled_back": True, "force": True}]
    for wrong in wrong_ones:
        with pytest.raises(BadUsage):
            resolves(workspace, folder, "2_broken", **wrong)
    with pytest.raises(Refused, match="not in a failed state"):
        resolves(workspace, folder, "1_first", rolled_back=True)
    with psycopg.connect(conninfo) as session:
        session.execute("drop index plate_size; alter table plate drop column size")
    resolves(workspace, folder, rolled_back=True)
    assert told(look_status(workspace, Status(folder)))["2_broken"] == "rolled back"
    (folder / "2_broken" / "migration.sql").write_text("alter table plate add column size int;\n")
    code, printed = prisma.migrate("deploy")
    assert code == 0, printed
    assert set(told(look_status(workspace, Status(folder))).values()) == {"applied"}
    code, printed = prisma.migrate("status")
    assert (code, "up to date" in printed) == (0, True), printed


def test_what_is_all_there_is_applied(project: tuple[str, Prisma, Path], workspaces: Callable[..., Workspace]) -> None:
    conninfo, prisma, folder = project
    workspace = workspaces(conninfo)
    assert prisma.migrate("deploy")[0] == 1
    with psycopg.connect(conninfo) as session:
        session.execute("alter table plate add constraint odd check (true), add z int, add x int")
    resolves(workspace, folder, applied=True)
    code, printed = prisma.migrate("deploy")
    assert code == 0, printed
    assert told(look_status(workspace, Status(folder))) == dict.fromkeys(("1_first", "2_broken", "3_last"), "applied")


def test_a_trigger_on_the_history_does_not_run_as_us_and_a_deployment_is_not_disturbed(
    project: tuple[str, Prisma, Path], workspaces: Callable[..., Workspace]
) -> None:
    conninfo, prisma, folder = project
    workspace = workspaces(conninfo)
    assert prisma.migrate("deploy")[0] == 1
    with psycopg.connect(conninfo) as session:
        session.execute("drop index plate_size; alter table plate drop column size")
    with psycopg.connect(conninfo) as session:
        session.execute("select pg_advisory_lock(%s)", [LOCK])
        with pytest.raises(Refused, match="holds the migration lock"):
            resolves(workspace, folder, rolled_back=True)
    with psycopg.connect(conninfo) as session:
        body = "create function f() returns trigger language plpgsql as 'begin return new; end'"
        session.execute(body)
        session.execute("create trigger t before update on _prisma_migrations for each row execute function f()")
    with pytest.raises(Refused, match="the trigger t, which would run as this role"):
        resolves(workspace, folder, rolled_back=True)


def test_a_file_that_was_mended_proves_nothing(
    project: tuple[str, Prisma, Path], workspaces: Callable[..., Workspace]
) -> None:
    conninfo, prisma, folder = project
    workspace = workspaces(conninfo)
    assert prisma.migrate("deploy")[0] == 1
    (folder / "2_broken" / "migration.sql").write_text("alter table plate add column colour int;\n")
    with pytest.raises(Refused, match="its file was changed since it ran"):
        resolves(workspace, folder, rolled_back=True)
    with pytest.raises(Refused, match="was changed since it ran"):
        plan_undo(workspace, Undo("2_broken", folder))
