"""A second factor: asked for at the login once a code was seen, each code once, and a way back on the host."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pyotp
import pytest

from tabsync.console.base.throttle import FREE
from tabsync.console.serve import start
from tabsync.kernel.errors import BadUsage
from tabsync.ledger import second_factor
from tabsync.ledger.evidence import recent_audit
from tabsync.ledger.operators import find_session, one_operator, remove_operator, start_session
from tabsync.ledger.second_factor import CODES, SECONDS, begin, codes_left, confirm, has_factor, reset, takes
from tabsync.ledger.tables import metadata
from tests.console.conftest import PASSWORD, Site, Workspaces
from tests.console.test_login import attempt, client_of
from tests.console.test_operators import tabsync

STILL = datetime(2026, 11, 29, 12, 0, 7, tzinfo=UTC)


@pytest.fixture
def own(
    console_workspaces: Workspaces, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Site]:
    """A console of the test's own: what others do doesn't count as guesses. Its codes' time stands still."""
    monkeypatch.setattr(second_factor, "now", lambda: STILL)
    workspace = console_workspaces(re.sub(r"\W", "", request.node.name), "host=127.0.0.1 port=1 dbname=nowhere")
    running = start(workspace)
    yield Site(running, workspace)
    running.stop()


def code_of(secret: str, later: int = 0, at: float = STILL.timestamp()) -> str:
    """The code of some steps later."""
    return pyotp.TOTP(secret).at(int(at) + later * SECONDS)


def log_in(client: httpx.Client, name: str, code: str, password: str = PASSWORD) -> int:
    return attempt(client, name, password, code=code).status_code


def test_it_is_asked_for_once_a_code_was_seen(own: Site) -> None:
    ledger = own.workspace.ledger()
    token, _ = start_session(ledger, one_operator(ledger, "ana"))
    made = begin(ledger, "ana", by="tests")
    assert made.uri.startswith("otpauth://totp/TabSync:ana?secret=")
    with client_of(own) as client:
        assert log_in(client, "ana", "") == 303  # nobody is locked out by what was begun and not finished
    with pytest.raises(BadUsage, match="not a code"):
        confirm(ledger, "ana", "000000" if code_of(made.secret) != "000000" else "000001", by="tests")
    recovery = confirm(ledger, "ana", code_of(made.secret), by="tests")
    assert len(set(recovery)) == CODES
    assert find_session(ledger, token, touch=False) is None
    with client_of(own) as client:
        for wrong in ("", "123456" if code_of(made.secret, 1) != "123456" else "654321", code_of(made.secret)):
            assert log_in(client, "ana", wrong) == 403  # the last one was used to confirm
        assert log_in(client, "ana", f" {code_of(made.secret, 1)[:3]} {code_of(made.secret, 1)[3:]} ") == 303
    with client_of(own) as client:
        assert log_in(client, "ana", code_of(made.secret, 1)) == 403
        assert log_in(client, "ana", recovery[0].upper(), password="not the password") == 403
        assert log_in(client, "ana", recovery[0].upper()) == 303  # it was not used up by the wrong password
    assert codes_left(ledger, one_operator(ledger, "ana").id) == CODES - 1
    with pytest.raises(BadUsage, match="has a second factor already"):
        begin(ledger, "ana", by="tests")
    told = json.dumps(recent_audit(ledger))
    assert "wrong, used or missing" in told
    assert made.secret not in told
    assert not any(one in told for one in recovery)


def test_a_code_is_used_once_by_however_many_at_once(own: Site) -> None:
    ledger, who = own.workspace.ledger(), one_operator(own.workspace.ledger(), "rob")
    made = begin(ledger, "rob", by="tests")
    recovery = confirm(ledger, "rob", code_of(made.secret, -1), by="tests")
    for code in (code_of(made.secret, 1), recovery[3]):
        with ThreadPoolExecutor(8) as pool:
            assert sum(pool.map(lambda given: takes(ledger, who.id, given), [code] * 8)) == 1
    assert not takes(ledger, who.id, code_of(made.secret, 0))  # one of before the last one
    for odd in ("", " ", "１２３４５６", "12345", "-", "\0", "é" * 40, recovery[3]):
        assert not takes(ledger, who.id, odd)
    assert not takes(ledger, who.id, code_of(made.secret, 1), at=STILL + timedelta(minutes=5))


def test_guessing_codes_is_slowed_down(own: Site) -> None:
    ledger = own.workspace.ledger()
    made = begin(ledger, "vic", by="tests")
    confirm(ledger, "vic", code_of(made.secret, -1), by="tests")
    own.running.console.throttle.clock = lambda: 100.0
    with client_of(own) as client:
        assert [log_in(client, "vic", f"{number:06}") for number in range(FREE + 1)][-1] == 429


def test_the_way_back_is_on_the_host(directory: Path, own: Site) -> None:
    ledger = own.workspace.ledger()
    made = begin(ledger, "ana", by="tests")
    recovery = confirm(ledger, "ana", code_of(made.secret), by="tests")
    assert reset(ledger, "ana", by="tests")
    assert not has_factor(ledger, one_operator(ledger, "ana").id)
    with client_of(own) as client:
        assert log_in(client, "ana", "") == 303
    begin(ledger, "ana", by="tests")
    remove_operator(ledger, "ana", by="tests")
    with ledger.engine.connect() as connection:
        kept = str([connection.execute(table.select()).all() for table in metadata.tables.values()])
    assert made.secret not in kept
    assert recovery[0] not in kept


def test_as_one_types_it(directory: Path) -> None:
    config = directory / "tabsync.toml"
    config.write_text('database = "host=127.0.0.1 port=1 dbname=shop"\n')
    tabsync(config, "operator", "add", "ana", "--role", "admin", "--password-stdin", stdin=PASSWORD + "\n")
    begun = tabsync(config, "operator", "totp", "ana")
    secret = re.search(r"^  ([A-Z2-7]{32})$", begun.stdout, re.MULTILINE)
    assert secret is not None, begun.stdout + begun.stderr
    assert "--confirm CODE" in begun.stderr
    done = tabsync(config, "operator", "totp", "ana", "--confirm", code_of(secret[1], at=time.time()))
    assert len(re.findall(r"^  \w{4}-\w{4}-\w{4}-\w{4}$", done.stdout, re.MULTILINE)) == CODES
    listed = json.loads(tabsync(config, "operator", "list", "--json").stdout)
    assert [one["second_factor"] for one in listed["operators"]] == [True]
    assert "password alone" in tabsync(config, "operator", "totp", "ana", "--reset").stdout
