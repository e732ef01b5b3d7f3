"""An incident from its first line to its last, as a person types it, with the database down."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tabsync import profiles
from tests.postgres.cli.program import Done, tabsync

MANUAL = Path(profiles.__file__).parent / "plain" / "manual.md"

Say = Callable[..., Done]


def project(directory: Path, more: str = "") -> Say:
    """A project whose database does not answer, and how one types a command of incidents in it."""
    (directory / "manual.md").write_text(MANUAL.read_text())
    database = 'database = "postgresql://postgres:geheim99@127.0.0.1:1/shop"\n'
    (directory / "tabsync.toml").write_text(f'{database}manual = "manual.md"\n{more}')

    def say(*words: str, code: int = 0) -> Done:
        done = tabsync(directory, "incident", *words)
        assert done.code == code, f"{words}: {done.code}\n{done.out}{done.err}"
        return done

    return say


@pytest.fixture
def say(directory: Path) -> Say:
    return project(directory)


def shown(say: Say, *words: str, code: int = 1) -> Any:
    return say("show", *words, "--json", code=code).json


def test_from_its_first_line_to_its_last(say: Say, directory: Path) -> None:
    assert "there is no incident" in say("show", code=2).err
    say("open", "Payments fail", "--severity", "major")
    assert "is open: Payments fail" in say("open", "And more", code=4).err
    say("note", "the gateway says it is down")
    page = say("show", code=1).out
    assert page.startswith("OPEN: Payments fail")
    assert "NOBODY HAS IT" in page
    say("ack")
    assert "can't be closed: it is open" in say("close", code=4).err
    say("mitigate", "--note", "paid in cash")
    say("reopen")
    say("mitigate", "--note", "paid in cash")
    assert "can't be reopened" not in say("resolve", "--note", "a new key").err
    assert "its root cause is not written down" in say("close", code=4).err
    told = say("close", "--cause", "an expired key", code=4).err
    assert "boxes of" in told
    assert "The post-mortem meeting took place" in told
    assert "is a fact, and not ticked off" in say("check", "1", code=4).err
    say("action", "a second gateway", "--owner", "Ana", "--due", "2026-12-31")
    say("action", "1", "--done")
    say("check", "5", "--note", "on Tuesday")
    say("check", "6", "--waive", "no disaster")
    with (directory / "manual.md").open("a") as manual:
        manual.write("\nKeys of the gateway expire on 1 March.\n")
    say("close", "--cause", "an expired key")
    one = shown(say, code=0)
    assert (one["state"], one["cause"], one["has_it"]) == ("closed", "an expired key", "root")
    assert [box["how"] for box in one["checklist"]][4:] == [
        "ticked off by root: on Tuesday",
        "left out by root: no disaster",
    ]
    texts = [line["text"] for line in one["timeline"]]
    assert texts[:3] == ["opened: Payments fail", "the gateway says it is down", "takes care of it"]
    assert texts[-1] == "root cause: an expired key"
    assert "is closed" in say("ack", one["id"], code=4).err
    say("open", "Again")
    assert len(say("list", "--json").json["incidents"]) == 2


def test_the_report_is_for_somebody_who_was_not_there(say: Say, directory: Path) -> None:
    say("open", "Orders | fail *badly*\x1b[31m")
    say("note", "ünïcode, <b>tags</b>\nand a second line")
    say("report", "--file", "post-mortem.md")
    text = (directory / "post-mortem.md").read_text()
    assert (directory / "post-mortem.md").stat().st_mode & 0o777 == 0o600
    assert text.startswith("# Orders \\| fail \\*badly\\*")
    assert "\\<b\\>tags\\</b\\>" in text
    assert "\x1b" not in text + say("show", code=1).out
    for heading in ("What it cost", "Root cause", "What happened", "So that it doesn't happen again", "Checklist"):
        assert f"## {heading}\n" in text
    assert "Unknown, since nobody measured it: Active connections" in text
    assert "| First message after | unknown |" in text
    every = text + say("list").out + (directory / ".tabsync" / "ledger.sqlite").read_bytes().decode("latin-1")
    assert "geheim99" not in every


def test_several_who_open_one_at_once_open_one(directory: Path) -> None:
    say = project(directory)
    tabsync(directory, "incident", "list")  # the ledger is there
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: tabsync(directory, "incident", "open", f"alert {number}"), range(4)))
    (one,) = say("list", "--json").json["incidents"]
    assert one["state"] == "open"


def test_several_who_write_at_once_lose_nothing(directory: Path) -> None:
    say = project(directory)
    say("open", "down")
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: say("note", f"note {number}"), range(8)))
    texts = {line["text"] for line in shown(say)["timeline"]}
    assert texts >= {f"note {number}" for number in range(8)}


def test_where_the_ledger_can_not_be_written_it_goes_on(directory: Path) -> None:
    """Its file is a directory: then the emergency journal has it, and the ledger takes it in later."""
    say = project(directory)
    home = directory / ".tabsync"
    home.mkdir()
    (home / "ledger.sqlite").mkdir()
    say("open", "Everything fails")
    say("note", "also this")
    say("mitigate")
    one = shown(say)
    assert (one["title"], one["state"]) == ("Everything fails", "mitigated")
    assert [line["text"] for line in one["timeline"]][1] == "also this"
    assert "can't be read" in one["unknown"]
    (home / "ledger.sqlite").rmdir()
    say("resolve")
    again = shown(say, code=0)
    assert (again["id"], again["state"], again["unknown"]) == (one["id"], "resolved", None)


def test_a_false_alarm_owes_nothing(say: Say) -> None:
    say("open", "A bird sat on the cable")
    say("close", "--false-alarm", "--note", "it flew away")
    assert "false alarm" in say("list").out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("open", "x", "--severity", "awful"), "one of: critical, major, minor"),
        (("open", "  "), "what is wrong?"),
        (("show", "nothing"), "there is no incident"),
        (("note", "x"), "there is no incident"),
    ],
)
def test_what_can_not_be_is_told(words: tuple[str, ...], says: str, say: Say) -> None:
    told = say(*words, code=2).err
    assert says in told
    assert "hint:" in told


def test_what_is_owed_stays_in_the_status(say: Say, directory: Path) -> None:
    say("open", "down")
    status = tabsync(directory, "status").out
    assert "is open, and nobody has it: down" in status
    say("ack")
    say("resolve")
    say("action", "a second gateway", "--owner", "Ana", "--due", "2020-01-01")
    status = tabsync(directory, "status").out
    assert "LATE, after" in status
    assert "a second gateway (Ana, until 2020-01-01)" in status
    say("action", "1", "--done")
    assert "a second gateway" not in tabsync(directory, "status").out.partition("What to do")[2]
