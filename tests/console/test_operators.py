"""tabsync operator and tabsync serve, as one types them."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tabsync.console.serve import start
from tabsync.kernel.errors import BadUsage, Refused
from tabsync.ledger.evidence import recent_audit
from tabsync.ledger.operators import add_operator, check_password, new_password, one_operator, operators
from tabsync.ledger.tables import metadata
from tabsync.system.listen import listen
from tabsync.workspace import Workspace, find
from tests.console.conftest import PASSWORD, Site


@pytest.fixture
def config(directory: Path) -> Path:
    path = directory / "tabsync.toml"
    path.write_text('database = "host=127.0.0.1 port=1 dbname=shop"\n')
    return path


def tabsync(config: Path, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from tabsync.cli import main; main()", *words, "--config", str(config)]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=60, check=False)


def test_an_operator_from_the_cradle_to_the_grave(config: Path) -> None:
    added = tabsync(config, "operator", "add", "Ana", "--role", "admin", "--password-stdin", stdin=PASSWORD + "\n")
    assert (added.returncode, added.stdout) == (0, "ana may now log in as admin\n")
    ledger = find(config).ledger()
    assert check_password(ledger, "ANA", PASSWORD) == one_operator(ledger, "ana")
    assert check_password(ledger, "ana", PASSWORD + "x") is None
    changed = tabsync(config, "operator", "password", "ana", "--generate")
    password = re.search(r"password: (\S+)", changed.stdout)
    assert password is not None and check_password(ledger, "ana", password[1]) is not None
    assert check_password(ledger, "ana", PASSWORD) is None
    assert "ana" in tabsync(config, "operator", "list").stdout
    assert tabsync(config, "operator", "remove", "ana").returncode == 0
    assert operators(ledger) == []
    done = [(entry["action"], entry["target"]) for entry in recent_audit(ledger)]
    assert done == [("operator remove", "ana"), ("operator password", "ana"), ("operator add", "ana")]


def test_what_is_wrong_is_told_with_the_next_command(config: Path) -> None:
    short = tabsync(config, "operator", "add", "ana", "--password-stdin", stdin="short\n")
    assert short.returncode == 2 and "12 to 1024" in short.stderr and "--generate" in short.stderr
    no_terminal = tabsync(config, "operator", "add", "ana")
    assert no_terminal.returncode == 4 and "--password-stdin" in no_terminal.stderr
    unknown = tabsync(config, "operator", "password", "bob", "--generate")
    assert unknown.returncode == 2 and "tabsync operator list" in unknown.stderr


def test_a_name_is_taken_once_and_roles_are_known(site: Site) -> None:
    ledger = site.workspace.ledger()
    with pytest.raises(BadUsage, match="already"):
        add_operator(ledger, "ANA", PASSWORD, "viewer", by="tests")
    with pytest.raises(BadUsage, match="role"):
        add_operator(ledger, "eve", PASSWORD, "root", by="tests")
    with pytest.raises(BadUsage, match="name"):
        add_operator(ledger, "eve; drop", PASSWORD, "viewer", by="tests")


def test_neither_password_nor_token_is_in_the_ledger(site: Site) -> None:
    password, name = new_password(), "canary"
    workspace: Workspace = site.workspace
    add_operator(workspace.ledger(), name, password, "viewer", by="tests")
    with httpx.Client(base_url=site.running.url, trust_env=False) as client:
        form = client.get("/login")
        csrf = re.search(r'name="csrf" value="([^"]+)"', form.text)
        assert csrf is not None
        cookies = {one.split("=")[0]: one.split("=")[1].split(";")[0] for one in form.headers.get_list("set-cookie")}
        sent = {"name": name, "password": password, "csrf": csrf[1]}
        headers = {"origin": site.running.url.rstrip("/"), "cookie": "; ".join(f"{k}={v}" for k, v in cookies.items())}
        token = client.post("/login", data=sent, headers=headers).headers["set-cookie"].split("=")[1].split(";")[0]
    assert len(token) >= 43  # 256 bits
    with workspace.ledger().engine.connect() as connection:
        everything = " ".join(
            str(row) for table in metadata.tables.values() for row in connection.execute(table.select())
        )
    assert "canary" in everything
    assert password not in everything and token not in everything


def test_a_taken_port_is_refused_with_the_way_out(site: Site, config: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        told = tabsync(config, "serve", "--port", str(port))
    assert told.returncode == 4
    assert f"port {port} is in use" in told.stderr and "hint: --port 0 picks a free one" in told.stderr


def test_an_address_that_others_reach_needs_a_name(config: Path) -> None:
    told = tabsync(config, "serve", "--host", "0.0.0.0", "--port", "0")
    assert told.returncode == 4 and "--name" in told.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_serve_says_where_and_stops_clean(config: Path, number: int) -> None:
    command = [sys.executable, "-c", "from tabsync.cli import main; main()", "serve", "--port", "0"]
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        [*command, "--config", str(config)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        url = re.search(r"http://127\.0\.0\.1:\d+/", process.stdout.readline())
        assert url is not None
        answer = httpx.get(url[0] + "login", trust_env=False)
        assert answer.status_code == 200 and "tabsync operator add" in answer.text  # nobody can log in yet
        process.send_signal(number)
        assert process.wait(20) == 0
        assert "Traceback" not in process.stderr.read()


def test_answers_are_not_held_back_for_an_acknowledgement() -> None:
    with listen("127.0.0.1", 0) as listening:
        assert listening.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)  # what it accepts inherits it


def test_a_host_that_cannot_be_listened_on(site: Site) -> None:
    with pytest.raises(Refused, match="can't listen"):
        start(site.workspace, "192.0.2.1", 0, names=["console.example.org"])
