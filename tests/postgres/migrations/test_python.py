"""Alembic and Django for real. Neither notes a failure: what is there of one is told by the SQL that they print."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import psycopg

from tabsync.kernel.page import Page
from tabsync.migrations.status import Status, look_status
from tabsync.workspace import Workspace
from tests.postgres.migrations.projects import Alembic, Django

_PLATE = 'migrations.CreateModel("Plate", [("id", models.AutoField(primary_key=True))])'
_SIZE = 'migrations.AddField("plate", "size", models.IntegerField(default=1))'
_COLOUR = 'migrations.AddField("plate", "colour", models.IntegerField(null=True))'
_FAILS = 'migrations.RunSQL("select 1 / 0")'


def states(page: Page) -> dict[str, str]:
    (one,) = page.data["histories"]
    return {each["name"]: each["state"] for each in one["migrations"]}


def found(page: Page, name: str) -> list[str]:
    return [one["found"] for one in page.data["asked"][name]]


def shown(page: Page) -> str:
    return "\n".join(str(block) for block in page.blocks)


def test_alembic_that_failed_after_a_block_without_a_transaction(
    databases: Callable[..., str], workspaces: Callable[..., Workspace], directory: Path
) -> None:
    conninfo = databases()
    workspace = workspaces(conninfo)
    alembic = Alembic(directory / "app", conninfo)
    alembic.revision("a1", None, 'op.execute("create table plate (id int primary key, size int)")')
    alembic.revision(
        "b2",
        "a1",
        'op.execute("alter table plate add column colour int")',
        "with op.get_context().autocommit_block():",
        '    op.execute("create index concurrently plate_size on plate (size)")',
        'op.execute("alter table plate add column shape int")',
        'op.execute("alter table plate add column odd int default (1 / 0)")',
    )
    assert alembic.run("-m", "alembic", "upgrade", "head")[0] != 0
    page = look_status(workspace, Status(alembic.directory))
    assert states(page) == {"a1": "applied", "b2": "pending"}
    assert page.exit_code == 0
    assert "whether one failed: Alembic notes nothing of it" in shown(page)
    assert "alembic upgrade --sql BEFORE:REVISION" in shown(page)
    code, printed, _ = alembic.run("-m", "alembic", "upgrade", "--sql", "a1:b2")
    assert code == 0
    page = look_status(workspace, Status(alembic.directory, sql=alembic.write("b2.sql", printed)))
    assert found(page, "b2.sql") == ["there", "there", "absent", "absent"]
    assert page.exit_code == 1
    assert "it is neither applied nor rolled back" in shown(page)
    with psycopg.connect(conninfo) as session:
        session.execute("drop index plate_size")
        session.execute("alter table plate drop column colour")
    page = look_status(workspace, Status(alembic.directory, sql=alembic.directory / "b2.sql"))
    assert page.exit_code == 0
    assert "nothing of it is there" in shown(page)


def test_alembic_that_failed_in_its_transaction_left_nothing(
    databases: Callable[..., str], workspaces: Callable[..., Workspace], directory: Path
) -> None:
    conninfo = databases()
    alembic = Alembic(directory / "app", conninfo)
    alembic.revision("a1", None, 'op.execute("create table plate (id int)")', 'op.execute("select 1 / 0")')
    assert alembic.run("-m", "alembic", "upgrade", "head")[0] != 0
    code, printed, _ = alembic.run("-m", "alembic", "upgrade", "--sql", "base:a1")
    assert code == 0
    page = look_status(workspaces(conninfo), Status(sql=alembic.write("a1.sql", printed), name="a1"))
    assert set(found(page, "a1")) <= {"absent", "leaves nothing"}
    assert page.headline.startswith("NO HISTORY")


def test_django_that_failed_without_a_transaction(
    databases: Callable[..., str], workspaces: Callable[..., Workspace], directory: Path
) -> None:
    conninfo = databases()
    workspace = workspaces(conninfo)
    django = Django(directory / "app", conninfo)
    django.migration("0001_initial", "", _PLATE)
    django.migration("0002_size", "0001_initial", _SIZE, _FAILS, _COLOUR, atomic=False)
    code, _, complained = django.run("manage.py", "migrate")
    assert (code, "division by zero" in complained) == (1, True)
    page = look_status(workspace, Status(django.directory))
    assert states(page) == {"shop.0001_initial": "applied", "shop.0002_size": "pending"}
    assert "python manage.py sqlmigrate APP NAME" in shown(page)
    code, printed, _ = django.run("manage.py", "sqlmigrate", "shop", "0002")
    assert code == 0
    page = look_status(workspace, Status(django.directory, sql=django.write("0002.sql", printed)))
    seen = {one["statement"].partition("plate")[2][:26]: one["found"] for one in page.data["asked"]["0002.sql"]}
    assert seen['" ADD COLUMN "size" intege'] == "there"
    assert seen['" ADD COLUMN "colour" inte'] == "absent"
    assert page.exit_code == 1


def test_django_that_failed_in_its_transaction_left_nothing(
    databases: Callable[..., str], workspaces: Callable[..., Workspace], directory: Path
) -> None:
    conninfo = databases()
    django = Django(directory / "app", conninfo)
    django.migration("0001_initial", "", _PLATE, _FAILS)
    assert django.run("manage.py", "migrate")[0] == 1
    code, printed, _ = django.run("manage.py", "sqlmigrate", "shop", "0001")
    assert code == 0
    page = look_status(workspaces(conninfo), Status(django.directory, sql=django.write("0001.sql", printed)))
    assert set(found(page, "0001.sql")) <= {"absent", "leaves nothing"}
    assert page.exit_code == 0
