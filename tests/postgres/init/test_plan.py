"""init on a real database: what it finds is in the manual, and no file that was there is ever lost."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from tabsync.init import plan as init_plan
from tabsync.init.inspect import look
from tabsync.init.plan import FILES, plan_init
from tabsync.kernel.errors import CannotConnect, Refused
from tabsync.kernel.runner import Outcome, run
from tabsync.kernel.step import Risk
from tabsync.manual.check_wiring import check_wiring
from tabsync.manual.load import load
from tabsync.manual.parse import parse
from tabsync.monitoring.health import check_health
from tabsync.postgres import catalog
from tabsync.workspace import Workspace
from tests.conftest import Databases, run_sql
from tests.sessions import connect


def initialized(conninfo: str, directory: Path, workspace: Workspace) -> Outcome:
    outcome = run(plan_init(conninfo, directory), workspace, workspace.journal(), approval="--yes")
    outcome.raise_if_failed()
    return outcome


@pytest.fixture
def base(directory: Path) -> Path:
    base = directory / "base"
    base.mkdir()
    return base


@pytest.mark.parametrize("major", [15, 17, 18])
def test_the_two_files_fit_the_database(
    major: int, tabsync_database: Callable[..., str], workspaces: Callable[..., Workspace], base: Path
) -> None:
    conninfo = tabsync_database(major)
    workspace = workspaces(conninfo, base / "manual.md")
    plan = plan_init(conninfo, base)
    assert plan.risk is Risk.REVERSIBLE
    assert list(base.iterdir()) == []
    initialized(conninfo, base, workspace)
    assert sorted(path.name for path in base.iterdir()) == sorted(FILES)
    values = tomllib.loads((base / "tabsync.toml").read_text())
    assert psycopg.conninfo.conninfo_to_dict(values["database"]) == psycopg.conninfo.conninfo_to_dict(conninfo)
    manual = load(base / "manual.md")
    with connect(conninfo, "tests") as connection:
        enums = catalog.enums(connection)
        assert len(manual.key_tables) == 5
        assert {str(one) for one in catalog.key_tables(connection)} == {one.name for one in manual.key_tables}
    assert len(manual.enum_labels) == sum(len(one["labels"]) for one in enums) > 5
    assert check_health(workspace, manual)["healthy"] is True


def test_users_and_audited_tables_are_proposed(
    tabsync_database: Callable[..., str], workspaces: Callable[..., Workspace], base: Path
) -> None:
    conninfo = tabsync_database()
    initialized(conninfo, base, workspaces(conninfo, base / "manual.md"))
    written = (base / "manual.md").read_text()
    assert load(base / "manual.md").users is None  # a proposal changes nothing
    before, _, rest = written.partition("<!--\nDecide: users")
    proposed, _, after = rest.partition("-->\n")
    manual, problems = parse(before + proposed + after)
    assert not [*problems, *check_wiring(manual)]
    assert manual.users
    assert manual.audit
    wired = manual.users.model_dump(exclude={"line", "tenants", "tenants_line", "sign_up"})
    assert wired == {
        "table": "public.users",
        "key": "id",
        "email": "email",
        "password_hash": "password_hash",
        "name": "full_name",
        "role": "role",
        "verified": "email_verified",
        "disabled": "disabled_at",
    }
    assert manual.audit.log == "public.audit_logs"
    first, *others = manual.audit.tables
    assert (first.name, first.must, first.secret) == ("public.users", True, ("password_hash",))
    assert others
    assert "SUPER_ADMIN" in manual.hierarchy.names()


@pytest.mark.parametrize(
    "columns",
    [
        "id int, email text, role text",
        "id int primary key, email text",
        'id int primary key, role text, "e-->mail" text',
    ],
)
def test_what_does_not_look_like_users_is_not_proposed(
    columns: str, databases: Databases, workspaces: Callable[..., Workspace], base: Path
) -> None:
    conninfo = databases()
    run_sql(conninfo, f"create table users ({columns})")
    initialized(conninfo, base, workspaces(conninfo, base / "manual.md"))
    assert "Decide: users" not in (base / "manual.md").read_text()


def test_tables_of_odd_names_are_healthy_too(
    databases: Databases, workspaces: Callable[..., Workspace], base: Path
) -> None:
    conninfo = databases()
    names = ["Orders", "a.b", 'quo"te', "tick`tick", "pipe|d", "two words"]
    for name in names:
        run_sql(conninfo, "create table {} (x int)", name)
    workspace = workspaces(conninfo, base / "manual.md")
    initialized(conninfo, base, workspace)
    facts = check_health(workspace, load(base / "manual.md"))
    assert [check for check in facts["checks"] if not check["ok"]] == []
    assert len(facts["checks"]) == 6


def test_what_was_there_is_kept_however_often(
    databases: Databases, workspaces: Callable[..., Workspace], base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    conninfo = databases()
    # One look for all: the manual tells the size of the database, which a vacuum of the server's own changes.
    with connect(conninfo, "test") as connection:
        found = look(connection)
    monkeypatch.setattr(init_plan, "look", lambda _connection: found)
    workspace = workspaces(conninfo)
    texts = ["first\n", "second\n", "third\n"]
    for text in texts:  # three times within a second
        (base / "manual.md").write_text(text)
        assert plan_init(conninfo, base).risk is Risk.DESTRUCTIVE
        initialized(conninfo, base, workspace)
    kept = {path.read_text() for path in base.glob("manual.md.*")}
    assert kept == set(texts)
    before = sorted(base.iterdir())
    assert plan_init(conninfo, base).confirm == psycopg.conninfo.conninfo_to_dict(conninfo)["dbname"]
    initialized(conninfo, base, workspace)
    assert sorted(base.iterdir()) == before  # the same again: nothing to keep


def test_nothing_is_written_without_a_connection_or_a_directory(databases: Databases, base: Path) -> None:
    with pytest.raises(CannotConnect):
        plan_init("host=/nowhere dbname=x", base)
    with pytest.raises(Refused, match="not a directory"):
        plan_init(databases(), base / "nowhere")
    assert list(base.iterdir()) == []
