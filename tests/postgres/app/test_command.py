"""Applications behind commands, and what every kind has in common: plans, records, and what stops them."""

from __future__ import annotations

import json
import os
import shlex
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner

from tabsync.cli.tree import program
from tabsync.kernel.errors import BadUsage, Exit, FailedPartway, Refused
from tabsync.procedures.typed import understood
from tests.postgres.app.acting import acted, looked, planned, text_of
from tests.postgres.app.conftest import Configured
from tests.servers import running_server

CANARY = "canary-of-the-new-one"


def table(restart: list[str], more: str = "") -> str:
    return f'[app.backend]\nkind = "command"\nrestart = {json.dumps(restart)}\n{more}'


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_no_shell_reads_the_words(directory: Path, configured: Configured) -> None:
    mark = directory / "mark"
    words = python(f"import sys; open({str(mark)!r}, 'w').write(sys.argv[1]); print('restarted token=canary')")
    workspace = configured(table([*words, "$(touch x); `y` & $HOME"]))
    made = planned(workspace, "app restart", name="backend")
    assert made.plan.steps[0].preview == shlex.join([*words, "$(touch x); `y` & $HOME"])
    assert not mark.exists()
    page = acted(workspace, "app restart", made, name="backend")
    assert mark.read_text() == "$(touch x); `y` & $HOME"
    assert "restarted token=***" in text_of(page)
    assert any("unknown" in note for note in made.notes), "the database isn't there, so nobody knows how full it is"


def test_a_command_that_fails_says_its_last_line(configured: Configured) -> None:
    words = python("import sys; print('one'); sys.stderr.write('no: postgres://u:canary@h/d\\n'); sys.exit(3)")
    with pytest.raises(FailedPartway, match="ended with exit code 3: no: postgres://u:\\*\\*\\*@h/d") as caught:
        acted(configured(table(words)), "app restart", name="backend")
    assert "canary" not in caught.value.fact


def test_one_that_does_not_end_is_ended_with_all_that_it_started(directory: Path, configured: Configured) -> None:
    pid = directory / "pid"
    code = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        f"open({str(pid)!r}, 'w').write(str(child.pid))\n"
        "time.sleep(600)"
    )
    with pytest.raises(FailedPartway, match="did not end within 1 s"):
        acted(configured(table(python(code), "timeout = 1\n")), "app restart", name="backend")
    until = time.monotonic() + 30
    while _runs(int(pid.read_text())):
        assert time.monotonic() < until, "its child goes on"
        time.sleep(0.02)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_what_it_leaves_running_holds_nobody_up(directory: Path, configured: Configured) -> None:
    pid = directory / "pid"
    code = (
        "import subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        f"open({str(pid)!r}, 'w').write(str(child.pid))"
    )
    try:
        acted(configured(table(python(code), "timeout = 300\n")), "app restart", name="backend")
        assert _runs(int(pid.read_text())), "a service that it starts is what it is for"
    finally:
        os.kill(int(pid.read_text()), 9)


def test_the_log_is_searched_and_hides_secrets(configured: Configured) -> None:
    secrets = "Authorization: Bearer canary-1, card 4242 4242 4242 4242"
    code = f"print('one'); print('Gateway: {secrets}'); print('three \\x1b[2J gateway')"
    workspace = configured(table(["true"], f"logs = {json.dumps(python(code))}\n"))
    page = looked(workspace, "app logs", name="backend", grep="gateway")
    assert [one["line"] for one in page.data["lines"]] == [
        "Gateway: Authorization: Bearer ***, card ***",
        "three  gateway",
    ]
    assert "2 lines with 'gateway' among the last 3" in text_of(page)
    assert [one["line"] for one in looked(workspace, "app logs", name="backend", lines=1).data["lines"]] == [
        "three  gateway"
    ]


@pytest.fixture
def switching(directory: Path) -> str:
    """A table whose `switch` writes down what it was given."""
    out = str(directory / "given")
    code = (
        f"import json, os, sys; json.dump([sys.argv, dict(os.environ)], open({out!r}, 'w')); print(os.environ['URL'])"
    )
    return table(["true"], f'switch = {json.dumps(python(code))}\nvariable = "URL"\n')


def test_the_connection_string_is_in_the_environment_only(
    directory: Path, configured: Configured, switching: str, server: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"postgresql://app:{CANARY}@127.0.0.1:1/shop"
    monkeypatch.setenv("NEW_URL", url)
    configured(switching)
    config = str(directory / "tabsync.toml")
    words = ["app", "switch-database", "backend", "--to", "NEW_URL", "--config", config]
    seen = CliRunner().invoke(program(), [*words, "--dry-run"])
    assert seen.exit_code == 0, seen.output
    assert "host=127.0.0.1" in seen.output and "user=app" in seen.output
    assert "does not answer from this machine" in seen.output
    assert not (directory / "given").exists()
    done = CliRunner().invoke(program(), [*words, "--yes"])
    assert done.exit_code == 0, done.output
    argv, env = json.loads((directory / "given").read_text())
    assert env["URL"] == url
    assert CANARY not in json.dumps(argv) + seen.output + done.output
    kept = [file for file in (directory / "home").rglob("*") if file.is_file()]
    assert kept
    assert not [file for file in kept if CANARY.encode() in file.read_bytes()]


def test_it_is_not_given_what_was_not_planned(
    configured: Configured, switching: str, monkeypatch: pytest.MonkeyPatch, directory: Path
) -> None:
    workspace = configured(switching)
    monkeypatch.setenv("NEW_URL", "postgresql://app@127.0.0.1:1/shop")
    made = planned(workspace, "app switch-database", name="backend", to="NEW_URL")
    monkeypatch.setenv("NEW_URL", "postgresql://app@127.0.0.1:1/other")
    with pytest.raises(Refused, match="leads to another place than in the plan"):
        acted(workspace, "app switch-database", made, name="backend", to="NEW_URL")
    assert not (directory / "given").exists()


def test_a_file_can_hold_it(configured: Configured, switching: str, directory: Path) -> None:
    (directory / "url").write_text(f"postgresql://app:{CANARY}@127.0.0.1:1/shop\n")
    workspace = configured(switching)
    acted(workspace, "app switch-database", name="backend", to_file=str(directory / "url"))
    assert json.loads((directory / "given").read_text())[1]["URL"].endswith("/shop")


@pytest.mark.parametrize(
    ("values", "fact"),
    [
        ({"to": f"postgresql://app:{CANARY}@h/d"}, "not the name of a variable"),
        ({"to": f"password={CANARY}"}, "not the name of a variable"),
        ({"to": "NOT_SET_ANYWHERE"}, "is not set"),
        ({"to": "HOLDS_NONE"}, "holds no connection string"),
        ({"to_file": "/dev/zero"}, "it is too long"),
        ({"to_file": "/nowhere/url"}, "can't read"),
        ({}, "neither --to nor --to-file"),
        ({"to": "A", "to_file": "b"}, "both --to and --to-file"),
    ],
)
def test_what_names_no_connection_string(
    configured: Configured, switching: str, monkeypatch: pytest.MonkeyPatch, values: dict[str, str], fact: str
) -> None:
    monkeypatch.setenv("HOLDS_NONE", f"{CANARY} and more")
    with pytest.raises(BadUsage, match=fact) as caught:
        planned(configured(switching), "app switch-database", name="backend", **values)
    assert CANARY not in f"{caught.value.fact}{caught.value.hint}"


def test_which_database_it_is_is_said(
    configured: Configured, switching: str, databases: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    conninfo = databases()
    monkeypatch.setenv("NEW_URL", conninfo)
    made = planned(configured(switching), "app switch-database", name="backend", to="NEW_URL")
    assert any(note.startswith("the new database answers: db") for note in made.notes)


def test_an_application_that_is_not_configured_names_the_table_to_add(configured: Configured) -> None:
    for words in ("app restart", "app logs", "app switch-database"):
        with pytest.raises(BadUsage, match="no application 'backend' is configured") as caught:
            (looked if words == "app logs" else planned)(configured(""), words, name="backend", **_to(words))
        assert '[app.backend]\n  kind = "command"' in caught.value.hint
    with pytest.raises(BadUsage, match="no application is configured"):
        looked(configured(""), "integration check")
    with pytest.raises(BadUsage, match="no command is configured to read the log of backend"):
        looked(configured(table(["true"])), "app logs", name="backend")


def _to(words: str) -> dict[str, str]:
    return {"to": "NEW_URL"} if words == "app switch-database" else {}


def test_the_commands_of_the_manual_are_understood() -> None:
    for words in (
        "app restart backend",
        "app logs backend --grep gateway",
        "app switch-database backend --to <secret>",
    ):
        assert understood(tuple(words.split())).procedure.words.startswith("app ")


def test_what_may_not_be_done_is_said_beforehand(configured: Configured, directory: Path) -> None:
    locked = directory / "locked"
    locked.write_text("#!/bin/sh\n")
    page = looked(configured(table([str(locked)], 'logs = ["true"]\n')), "integration check", name="backend")
    assert [one["allowed"] for one in page.data["permissions"]] == [False, True, None]
    assert page.exit_code is Exit.PROBLEM_FOUND
    assert f"execute {locked}" in text_of(page)
    assert "switch = [" in text_of(page)


def test_what_nobody_configured_is_not_missing(configured: Configured) -> None:
    """A nightly check of an application that is only restarted would be red for ever."""
    page = looked(configured(table(["true"])), "integration check", name="backend")
    assert [one["configured"] for one in page.data["permissions"]] == [True, False, False]
    assert page.exit_code is Exit.DONE
    assert text_of(page).count("not configured") == 2
    assert "to configure it: in [app.backend] of tabsync.toml: logs = " in text_of(page)


def test_a_program_beside_tabsync_toml_is_the_one_that_was_checked(configured: Configured, directory: Path) -> None:
    """Commands run in /, and whoever types is anywhere."""
    workspace = configured(table(["./deploy.sh"]))
    assert workspace.config_path
    page = looked(workspace, "integration check", name="backend")
    assert page.data["permissions"][0]["allowed"] is False
    program = workspace.config_path.parent / "deploy.sh"
    program.write_text("#!/bin/sh\npwd; echo deployed\n")
    program.chmod(0o755)
    page = looked(workspace, "integration check", name="backend")
    assert page.data["permissions"][0]["allowed"] is True
    assert page.data["permissions"][0]["permission"] == f"execute {program}"
    page = acted(workspace, "app restart", name="backend")
    assert page.data["restart"]["output"] == ["/", "deployed"]


def test_what_is_printed_without_end_does_not_fill_the_disk(configured: Configured) -> None:
    """It prints on when there is less than 12 MB of it."""
    code = (
        "import os, sys, time\n"
        "for _ in range(60):\n"
        "    os.write(1, b'x' * 1023 + b'\\n')\n"
        "    os.write(1, (b'x' * 1023 + b'\\n') * 1024)\n"
        "    while os.fstat(1).st_size > 12 << 20: time.sleep(0.01)\n"
        "print('the end')\n"
    )
    page = acted(configured(table(python(code), "timeout = 60\n")), "app restart", name="backend")
    assert page.data["restart"]["output"][-1] == "the end"
    assert len(page.data["restart"]["output"]) == 20


def test_where_the_connections_are_used_the_plan_says_so(configured: Configured) -> None:
    """A restart opens more of them: sessions are ended first. At 53300 even that can't be counted, and is said."""
    with (
        running_server("app", max_connections="12", superuser_reserved_connections="0") as server,
        ExitStack() as stack,
    ):
        conninfo = server.conninfo()
        workspace = configured(table(["true"]), conninfo.replace('"', ""))
        assert planned(workspace, "app restart", name="backend").notes == ()
        for _ in range(10):
            stack.enter_context(psycopg.connect(conninfo))
        (note,) = planned(workspace, "app restart", name="backend").notes
        assert "of 12 connections are in use" in note
        assert "connections terminate --idle-for 5min" in note
        for _ in range(2):
            stack.enter_context(psycopg.connect(conninfo))
        (note,) = planned(workspace, "app restart", name="backend").notes
        assert "perhaps all connections are in use" in note
