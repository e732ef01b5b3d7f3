"""runbook find, as one types it: the database is down, and the ledger may be too."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tabsync.kernel.clock import now
from tabsync.kernel.errors import BadUsage, Exit
from tabsync.monitoring.alerts.episode import Key, Seen
from tabsync.monitoring.alerts.keep import keep
from tabsync.profiles.tabsync import PROFILE_MANUAL
from tabsync.runbooks.find import Find, look_find
from tabsync.workspace import Workspace, find
from tests.postgres.cli.program import TABSYNC, environment

DOWN = "Server doesn't answer"
FULL = "Connection pool exhausted"
UNCLEAR = "ERROR:  query_wait_timeout"


@pytest.fixture
def shop(directory: Path) -> Path:
    config = f'database = "postgresql://app:secret@127.0.0.1:1/app"\nhome = "home"\nmanual = "{PROFILE_MANUAL}"\n'
    (directory / "tabsync.toml").write_text(config)
    return directory


def typed(shop: Path, *words: str, given: bytes = b"") -> tuple[int, str]:
    done = subprocess.run(
        [TABSYNC, "runbook", "find", *words], cwd=shop, env=environment(shop), input=given, capture_output=True
    )
    assert b"Traceback" not in done.stderr
    return done.returncode, done.stdout.decode() + done.stderr.decode()


def wiring(shop: Path) -> Workspace:
    return find(shop / "tabsync.toml")


def titles(shop: Path, text: str) -> list[str]:
    fits: list[Any] = look_find(wiring(shop), Find(text)).to_json()["fits"]
    return [one["runbook"] for one in fits]


def test_a_log_is_read_from_a_pipe(shop: Path) -> None:
    log = b"\xff\xfe some bytes\n" * 50 + b"psycopg.OperationalError: FATAL:  sorry, too many clients already\n"
    for words in ((), ("-",)):
        code, told = typed(shop, *words, given=log)
        assert code == 0
        assert told.startswith(FULL)
        assert 'tabsync runbook run "Connection pool exhausted"' in told
    code, told = typed(shop, "--json", "FATAL:  sorry, too many clients already")
    assert json.loads(told)["fits"][0]["pool"] == "server"


def test_of_a_long_log_the_end_is_read_and_what_was_left_out_is_said(shop: Path) -> None:
    error = b"FATAL:  sorry, too many clients already\n"
    filler = b"2026-11-28 06:10:38 LOG:  checkpoint complete\n"
    many = 20_000_000 // len(filler)
    for log in (filler * many + error, error + filler * many):
        code, told = typed(shop, given=log)
        assert (code, told.splitlines()[0]) == (0, FULL)
        assert "only the beginning and the end were read, 18.1 MB between" in told
    code, told = typed(shop, given=filler + error + filler)
    assert "left out" not in told


def test_the_exit_code_says_what_was_found(shop: Path) -> None:
    assert typed(shop, 'duplicate key value violates unique constraint "x"')[0] == Exit.PROBLEM_FOUND
    code, told = typed(shop, "hello")
    assert code == Exit.UNKNOWN
    assert "UNKNOWN" in told
    code, told = typed(shop)
    assert code == Exit.USAGE
    assert "there is no text" in told
    with pytest.raises(BadUsage):
        look_find(wiring(shop), Find(" \n"))


def test_no_password_of_the_text_is_shown(shop: Path) -> None:
    text = "connection to postgresql://app:hunter2@db/app failed: FATAL:  sorry, too many clients already"
    page = look_find(wiring(shop), Find(text))
    assert "hunter2" not in json.dumps(page.to_json())


def test_what_fires_now_decides_between_two(shop: Path) -> None:
    assert titles(shop, UNCLEAR) == [FULL, DOWN]
    workspace = wiring(shop)
    facts = {"runbook": DOWN, "text": "no answer for 3 min"}
    keep(workspace.ledger(), "", [Seen(Key("threshold", "Answers", ""), "critical", now(), facts=facts)])
    workspace.close()
    assert titles(shop, UNCLEAR) == [DOWN, FULL]
    assert "Its alert fires now" in typed(shop, UNCLEAR)[1]


def test_it_goes_without_ledger_and_manual(shop: Path) -> None:
    (shop / "home").mkdir()
    (shop / "home" / "ledger.sqlite").write_text("no database")
    page = look_find(wiring(shop), Find(UNCLEAR))
    assert [one["runbook"] for one in page.to_json()["fits"]] == [FULL, DOWN]
    assert any("what fires now is unknown" in getattr(one, "text", "") for one in page.blocks)
    config = (shop / "tabsync.toml").read_text().replace(str(PROFILE_MANUAL), "gone.md")
    (shop / "tabsync.toml").write_text(config)
    page = look_find(wiring(shop), Find(UNCLEAR))
    assert [one["cause"] for one in page.to_json()["fits"]] == ["pooler pool full", "behind the pooler down"]
    assert "this manual has no such runbook" in str(page.blocks)
