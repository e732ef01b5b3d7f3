"""A procedure is declared once and appears everywhere: one that no chapter has, in two files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

import tabsync.cli.tree as tree
import tabsync.procedures as collected
from tabsync.cli.procedures import as_json
from tabsync.cli.usage import wrong_usage
from tabsync.console.base.allowed import startable
from tabsync.console.serve import start as start_console
from tabsync.kernel.procedure import Group, Procedure, Surface
from tabsync.kernel.profile import Profile
from tabsync.ledger.operators import Operator, add_operator
from tabsync.ledger.runs import one_run
from tabsync.ledger.tokens import add_token
from tabsync.system.profiles import load_profile
from tabsync.workspace import PLAIN_MANUAL, Workspace
from tests import example

PASSWORD = "correct horse battery"


@pytest.fixture
def added() -> Iterator[Procedure]:
    """The example, brought by a profile."""
    (one,) = example.PROCEDURES
    groups = (Group("greet", "Greet people."),)
    collected.use(Profile("greeter", "Greets people.", PLAIN_MANUAL, groups, (one,)))
    yield one
    collected.use(load_profile("tabsync"))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tabsync.toml").write_text('database = "dbname=nowhere"\nhome = "home"\nstore = "store"\n')
    return collected_workspace()


def collected_workspace() -> Workspace:
    from tabsync.workspace import find

    return find()


def test_on_the_command_line(added: Procedure, here: Workspace) -> None:
    def typed(*words: str) -> str:
        done = CliRunner().invoke(tree.program(), words)
        assert done.exit_code == 0, done.output
        return done.stdout

    assert "Greet some guests by name." in typed("greet", "--help")
    assert "1<=x<=9" in typed("greet", "guests", "--help")
    assert "say hello to Ana" in typed("greet", "guests", "Ana", "--dry-run")
    assert typed("greet", "guests", "Ana", "--times", "2") == "Hello Ana, Hello Ana\n"
    assert json.loads(typed("greet", "guests", "Ana", "Bo", "--json"))["said"] == ["Hello Ana", "Hello Bo"]


def test_in_the_manual(added: Procedure) -> None:
    assert collected.is_built(["greet", "guests", "Ana"])
    assert wrong_usage(["greet", "guests", "Ana"]) == ""
    assert "missing argument" in wrong_usage(["greet", "guests"])
    assert "10" in wrong_usage(["greet", "guests", "Ana", "--times", "10"])


def test_by_a_schedule(added: Procedure, here: Workspace) -> None:
    done = collected.start(here, "greet guests", {"names": ["Ana"], "times": "2"})
    run = one_run(here.ledger(), done.ran.run_id)
    assert run
    assert (run["state"], run["steps"][0]["facts"]) == ("done", {"said": ["Hello Ana", "Hello Ana"]})
    page = collected.page_of(here, run)
    assert page
    assert page.headline == "Hello Ana, Hello Ana"


def test_in_the_reference(added: Procedure) -> None:
    told = as_json(added)
    assert told["surfaces"] == [one.value for one in Surface]
    assert [one["name"] for one in told["fields"]] == ["names", "times"]


def test_through_the_api(added: Procedure, here: Workspace) -> None:
    add_operator(here.ledger(), "ana", PASSWORD, "admin", by="test")
    add_operator(here.ledger(), "bo", PASSWORD, "viewer", by="test")
    tokens = {name: add_token(here.ledger(), name, by="test") for name in ("ana", "bo")}
    running = start_console(here)
    with httpx.Client(base_url=running.url) as client:

        def ask(method: str, path: str, who: str = "ana", **body: object) -> tuple[int, dict[str, object]]:
            headers = {"authorization": f"Bearer {tokens.get(who, who)}"}
            got = client.request(method, f"/api/v1{path}", headers=headers, json=body or None)
            return got.status_code, got.json()

        assert ask("POST", "/plans", "nobody", procedure="greet guests")[0] == 401
        assert ask("POST", "/plans", "bo", procedure="greet guests")[0] == 403
        code, wrong = ask("POST", "/plans", procedure="greet guests", values={"nmes": ["Ana"]})
        assert (code, wrong["error"]) == (
            400,
            {"fact": "greet guests has no field 'nmes'", "hint": "did you mean names?"},
        )
        assert ask("POST", "/plans", procedure="operator add")[0] == 400
        code, planned = ask("POST", "/plans", procedure="greet guests", values={"names": ["Ana"]})
        assert (code, planned["command"]) == (201, "tabsync greet guests Ana")
        code, begun = ask("POST", f"/plans/{planned['digest']}/run")
        assert code == 201
        while (got := ask("GET", f"/runs/{begun['run']}", "bo"))[1]["run"]["state"] == "running":  # type: ignore[index]
            pass
        assert got[1]["result"]["said"] == ["Hello Ana"]  # type: ignore[index]
        assert client.get("/openapi.json").status_code == 404
        assert client.post("/api/v1/plans", json={"procedure": "greet guests"}).status_code == 401
    running.stop()


def test_in_the_console(added: Procedure, here: Workspace) -> None:
    assert added in collected.on(Surface.CONSOLE)
    assert startable("greet guests", Operator(1, "ana", "admin", ""), Surface.CONSOLE) is added
