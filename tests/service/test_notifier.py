"""From a condition on a real server to a mail on a real SMTP server, and to a webhook."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC
from pathlib import Path

import pytest

from tabsync.monitoring.alerts.keep import fired
from tabsync.monitoring.notify.send import HEADER
from tabsync.service.notifier import Notifier
from tabsync.workspace import Workspace
from tests.conftest import Databases, run_sql
from tests.service.test_collector import MANUAL, Watched, put
from tests.service.told import CONTACTS, Mailbox, Told


@pytest.fixture
def told(
    databases: Databases,
    workspaces: Callable[..., Workspace],
    directory: Path,
    mailbox: tuple[Mailbox, int],
    webhook: tuple[list[dict[str, str]], int],
) -> Iterator[Told]:
    conninfo = databases()
    run_sql(conninfo, "create table waiting (name text, orders int)")
    run_sql(conninfo, "insert into waiting values ('kitchen', 1), ('bar', 1)")
    path = directory / "manual.md"
    path.write_text(MANUAL + CONTACTS)
    channels = (
        ("mail", f"mailto://127.0.0.1:{mailbox[1]}?from=tabsync@example.org&smtp=127.0.0.1"),
        ("hook", f"json://127.0.0.1:{webhook[1]}/alerts"),
    )
    watched = Watched(replace(workspaces(conninfo, path), channels=channels))
    notifier = Notifier(watched.workspace, "test", UTC, watched.said.append)
    yield Told(watched, notifier, mailbox[0], webhook[0])
    notifier.end()
    watched.collector.end()


def test_a_condition_becomes_a_mail_and_a_webhook_and_its_end_another(told: Told) -> None:
    put(told.watched, "kitchen", 60)
    told.watched.look()
    told.settle(lambda: len(told.box.got) == 1 and len(told.hook) == 1)
    (mail,) = told.box.got
    (episode,) = fired(told.watched.workspace.ledger(), told.watched.first.began_at)
    assert (mail["X-Rcpt"], mail[HEADER]) == ("admin@example.org", f"{episode.id}/Admin/start")
    assert mail["subject"].startswith("CRITICAL: Waiting, kitchen: 60 of 100 orders (60 %)")
    text = mail.get_payload(decode=True)
    assert isinstance(text, bytes)
    for words in (
        "bound: > 50 %",
        "Orders that nobody has taken.",
        "action: Take them",
        f"tabsync alert ack {episode.id}",
    ):
        assert words in text.decode()
    assert told.hook[0][HEADER.lower()] == f"{episode.id}/Lead/start"
    told.notifier.step()
    assert len(told.box.got) == 1
    put(told.watched, "kitchen", 1)
    told.watched.look()
    told.settle(lambda: len(told.box.got) == 2 and len(told.hook) == 2)
    assert told.box.subjects()[1].startswith("RECOVERED: Waiting, kitchen")
    assert {row["contact"] for row in told.rows()} == {"Admin", "Lead"}
    told.settle(lambda: all(row["state"] == "sent" for row in told.rows()))
