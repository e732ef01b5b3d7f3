"""The notifier on a full disk: no message is lost, and it says why nothing goes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC
from pathlib import Path

import pytest

from tabsync.service.notifier import Notifier
from tabsync.workspace import Workspace
from tests.conftest import Databases, run_sql
from tests.service.disk import Disk, small_disk
from tests.service.test_collector import MANUAL, Watched, put
from tests.service.told import CONTACTS, Mailbox, Told
from tests.vanish import until


@pytest.fixture
def disk(directory: Path) -> Iterator[Disk]:
    with small_disk(directory / "disk") as found:
        yield found


@pytest.fixture
def told(
    disk: Disk,
    databases: Databases,
    workspaces: Callable[..., Workspace],
    directory: Path,
    mailbox: tuple[Mailbox, int],
) -> Iterator[Told]:
    """A collector and a notifier whose ledger is on a small disk."""
    conninfo = databases()
    run_sql(conninfo, "create table waiting (name text, orders int)")
    run_sql(conninfo, "insert into waiting values ('kitchen', 1), ('bar', 1)")
    path = directory / "manual.md"
    path.write_text(MANUAL + CONTACTS.replace("| hook |", "| mail |"))
    channels = (("mail", f"mailto://127.0.0.1:{mailbox[1]}?from=tabsync@example.org&smtp=127.0.0.1"),)
    ledger = f"sqlite:///{disk.place / 'ledger.sqlite'}"
    workspace = replace(workspaces(conninfo, path), channels=channels, ledger_url=ledger)
    watched = Watched(workspace)
    notifier = Notifier(replace(workspace, _open={}), "test", UTC, watched.said.append)
    yield Told(watched, notifier, mailbox[0], [])
    notifier.end()
    watched.collector.end()
    notifier.workspace.close()


def steps(told: Told, count: int) -> None:
    for _ in range(count):
        told.notifier._look_at = 0.0
        told.notifier._ledger_stamp = None
        told.notifier.step()


def subjects(told: Told, word: str) -> int:
    return sum(one.startswith(word) for one in told.box.subjects())


def test_what_fires_while_the_disk_is_full_is_told_when_there_is_room(told: Told, disk: Disk) -> None:
    """The alert is on record, and its messages can't be: none is sent that could be forgotten, and none is lost."""
    told.watched.look()
    steps(told, 2)
    put(told.watched, "kitchen", 60)
    told.watched.look()
    told.watched.said.clear()
    disk.fill()
    steps(told, 5)
    assert told.box.got == []
    assert any("No space left" in one or "disk is full" in one for one in told.watched.said), told.watched.said
    assert len(told.watched.said) == 1  # it is said once
    disk.empty()
    told.settle(lambda: subjects(told, "CRITICAL") == 2)
    assert "in order again" in told.watched.said
    put(told.watched, "kitchen", 1)
    told.watched.look()
    told.settle(lambda: subjects(told, "RECOVERED") == 2)
    told.settle(lambda: {row["state"] for row in told.rows()} == {"sent"})


def test_what_was_sent_and_could_not_be_noted_is_not_sent_again(told: Told, disk: Disk) -> None:
    """The disk fills between the server's 250 and our commit. The process lives: it notes it when there is room."""
    told.watched.look()
    put(told.watched, "kitchen", 60)
    told.watched.look()
    told.settle(lambda: any(row["state"] == "sending" for row in told.rows()))
    disk.fill()
    until(lambda: len(told.box.got) >= 1, 20)
    steps(told, 5)
    disk.empty()
    told.settle(lambda: bool(told.rows()) and {row["state"] for row in told.rows()} == {"sent"})
    assert sorted(str(one["X-Rcpt"]) for one in told.box.got) == ["admin@example.org", "lead@example.org"]


def test_what_could_not_be_told_for_long_is_told_all_the_same(told: Told, disk: Disk) -> None:
    """Killed on the full disk, too: what the next one finds is enough."""
    told.watched.look()
    put(told.watched, "kitchen", 60)
    told.watched.look()
    disk.fill()
    steps(told, 3)
    again = Notifier(replace(told.watched.workspace, _open={}), "test", UTC, told.watched.said.append)
    told.notifier.end()  # it can't even give its lease up
    disk.empty()
    told.notifier = again
    told.settle(lambda: subjects(told, "CRITICAL") == 2, 60)
