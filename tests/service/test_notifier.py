"""From a condition on a real server to a mail on a real SMTP server, and to a webhook."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, timedelta
from pathlib import Path

import pytest

from tabsync.kernel.clock import iso, now
from tabsync.kernel.errors import BadUsage
from tabsync.kernel.request import Nothing
from tabsync.kernel.runner import run
from tabsync.kernel.step import Context
from tabsync.monitoring.alerts.keep import fired, open_episodes
from tabsync.monitoring.alerts.list import look_list
from tabsync.monitoring.alerts.marks import add_silence, add_window, end_silence
from tabsync.monitoring.alerts.prove import Prove, plan_test
from tabsync.monitoring.alerts.silences import silences
from tabsync.monitoring.notify.send import HEADER
from tabsync.monitoring.notify.try_out import TryOut, plan_try_out
from tabsync.service.notifier import Notifier
from tabsync.workspace import Workspace
from tests.conftest import Databases, run_sql
from tests.service.test_collector import MANUAL, Watched, put
from tests.service.told import CONTACTS, Mailbox, Told
from tests.vanish import until


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


def test_what_is_silenced_is_kept_and_told_when_the_silence_ends(told: Told) -> None:
    ledger = told.watched.workspace.ledger()
    context = Context(told.watched.workspace, "", {}, lambda *_: None)
    until = iso(now() + timedelta(hours=1))
    silenced = add_silence(context, rule="Waiting", label="", reason="a load test", until=until)
    put(told.watched, "kitchen", 60)
    told.watched.look()
    told.settle(lambda: len(told.rows()) > 0)
    told.notifier.step()
    assert {(row["state"], row["fact"].partition(": ")[2]) for row in told.rows()} == {("withheld", "a load test")}
    assert told.box.got == []
    end_silence(context, silence=silenced["id"])
    told.settle(lambda: len(told.box.got) == 1 and len(told.hook) == 1)
    assert silences(ledger, now()) == []


def test_a_window_withholds_what_is_not_critical(told: Told) -> None:
    context = Context(told.watched.workspace, "", {}, lambda *_: None)
    begin, until = iso(now() - timedelta(minutes=1)), iso(now() + timedelta(hours=1))
    add_window(context, reason="the disk is replaced", begin=begin, until=until, critical_too=False)
    put(told.watched, "kitchen", 20)
    put(told.watched, "bar", 60)
    told.watched.look()
    told.settle(lambda: len(told.box.got) == 1)
    assert [one.partition(":")[0] for one in told.box.subjects()] == ["CRITICAL"]
    withheld = [row for row in told.rows() if row["state"] == "withheld"]
    assert [row["event"] for row in withheld] == ["start"]
    put(told.watched, "kitchen", 1)
    put(told.watched, "bar", 1)
    told.watched.look()
    told.settle(lambda: len(told.box.got) == 2)
    told.notifier.step()
    assert [one.partition(":")[0] for one in told.box.subjects()] == ["CRITICAL", "RECOVERED"]


def test_an_alert_is_proven_by_a_made_up_measurement_that_everybody_is_told_of(told: Told) -> None:
    workspace = told.watched.workspace
    plan = plan_test(workspace, Prove("waiting", wait=20))
    working = threading.Event()

    def work() -> None:
        while not working.is_set():
            told.notifier.step()
            time.sleep(0.05)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        outcome = run(plan, workspace, workspace.journal())
        assert outcome.results["record"] == {"ok": True, "sent": 2, "all": 2}
        until(lambda: len(told.box.got) == 2)
    finally:
        working.set()
        thread.join()
    assert [one.partition(":")[0] for one in told.box.subjects()] == ["[TEST] CRITICAL", "[TEST] RECOVERED"]
    (bound, _) = look_list(workspace, Nothing()).data["bounds"]
    assert bound["proven_at"]
    assert open_episodes(workspace.ledger()) == []


def test_each_contact_with_a_channel_gets_a_test_message(told: Told) -> None:
    workspace = told.watched.workspace
    outcome = run(plan_try_out(workspace, TryOut()), workspace, workspace.journal())
    tried = [(one["contact"], one["ok"]) for one in outcome.results["send"]["told"]]
    assert tried == [("Admin", True), ("Lead", True), ("Boss", True)]
    until(lambda: len(told.box.got) == 2 and len(told.hook) == 1)
    assert all(one.startswith("[TEST] tabsync reaches") for one in told.box.subjects())
    lacking = replace(workspace, channels=workspace.channels[:1])
    outcome = run(plan_try_out(lacking, TryOut("lead")), lacking, workspace.journal())
    (failed,) = outcome.results["send"]["told"]
    assert (failed["ok"], failed["fact"]) == (False, "tabsync.toml has no channel 'hook' in [notify]")
    with pytest.raises(BadUsage, match="no channel"):
        plan_try_out(workspace, TryOut("supplier"))
