"""Channels that misbehave: whoever comes next is told at once, the channel is an alert, and no secret is told."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from tabsync.kernel import clock
from tabsync.monitoring.alerts.keep import fired
from tabsync.monitoring.notify.send import HEADER, check, send
from tabsync.service import channels
from tabsync.service import notifier as module
from tabsync.service.notifier import Notifier
from tabsync.workspace import Workspace
from tests.conftest import Databases, run_sql
from tests.service.test_collector import MANUAL, Watched, put
from tests.service.told import Mailbox, Receiver, Told, free_port

SECRET = "hunter2-is-secret"
CONTACTS = """
## Contacts

| Role | Contact | Availability | Order | After | Told of | By |
|---|---|---|---|---|---|---|
| Admin | admin@example.org | 24/7 | 1 | — | critical, warning | first |
| Boss | boss@example.org | 24/7 | 2 | 9 hours | critical, warning | mail |
| Köln, Nacht | koeln@example.org | 24/7 | 2 | — | critical | hook |
"""


@contextmanager
def black_hole() -> Iterator[int]:
    """A port that takes connections and never answers."""
    with socket.socket() as hole:
        hole.bind(("127.0.0.1", 0))
        hole.listen(64)
        yield hole.getsockname()[1]


@contextmanager
def post(port: int = 0, answers: tuple[str, ...] = ()) -> Iterator[tuple[Mailbox, int]]:
    box, port = Mailbox(answers=[*answers]), port or free_port()
    controller = Receiver(box, port)
    controller.start()
    yield box, port
    controller.stop()


def mail(port: int) -> str:
    return f"mailto://tabsync:{SECRET}@127.0.0.1:{port}?from=tabsync@example.org&smtp=127.0.0.1&mode=insecure"


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[timedelta], None]:
    """Sets the notifier's clock on; a channel that does not answer has two seconds, and imports are none of them."""
    assert check("json://127.0.0.1") == ""
    passed = [timedelta(0)]
    real: Callable[[], datetime] = clock.now
    monkeypatch.setattr(module, "now", lambda: real() + passed[0])
    monkeypatch.setattr(channels, "now", lambda: real() + passed[0])
    monkeypatch.setattr(module, "send", partial(send, timeout=2.0))
    monkeypatch.setattr(module, "_GAP", 0.0)
    monkeypatch.setattr(module, "_LOOK", 0.0)

    def go_on(span: timedelta) -> None:
        passed[0] += span

    return go_on


@pytest.fixture
def told(
    databases: Databases,
    workspaces: Callable[..., Workspace],
    directory: Path,
    mailbox: tuple[Mailbox, int],
    webhook: tuple[list[dict[str, str]], int],
    later: object,
) -> Iterator[Told]:
    conninfo = databases()
    run_sql(conninfo, "create table waiting (name text, orders int)")
    run_sql(conninfo, "insert into waiting values ('kitchen', 60), ('bar', 1)")
    path = directory / "manual.md"
    path.write_text(MANUAL + CONTACTS)
    wires = (
        ("mail", f"mailto://127.0.0.1:{mailbox[1]}?from=tabsync@example.org&smtp=127.0.0.1"),
        ("hook", f"json://127.0.0.1:{webhook[1]}/alerts"),
    )
    watched = Watched(replace(workspaces(conninfo, path), channels=wires))
    notifier = Notifier(watched.workspace, "test", UTC, watched.said.append)
    yield Told(watched, notifier, mailbox[0], webhook[0])
    notifier.end(patience=2)
    watched.collector.end()


def wired(told: Told, address: str | None) -> None:
    """Give the contact's first channel an address; None: there is no such channel."""
    others = tuple(one for one in told.watched.workspace.channels if one[0] != "first")
    mine = (("first", address),) if address is not None else ()
    told.notifier.workspace = replace(told.watched.workspace, channels=(*others, *mine))


def channel_alerts(told: Told) -> list[str]:
    found = fired(told.watched.workspace.ledger(), clock.now() - timedelta(days=1))
    return [one.state.value for one in found if one.key.kind == "channel"]


def no_secret(told: Told, directory: Path, log: str) -> None:
    texts = [log, repr(told.notifier), repr(told.watched.workspace), repr(told.rows()), *told.watched.said]
    texts += [one["body"] for one in told.hook] + [str(one) for one in told.box.got]
    texts += [one.read_bytes().decode(errors="replace") for one in directory.rglob("ledger.sqlite*")]
    assert not [text for text in texts if SECRET in text]


@contextmanager
def addresses(kind: str) -> Iterator[str | None]:
    if kind == "black hole":
        with black_hole() as port:
            yield mail(port)
    elif kind == "refused":
        yield mail(free_port())
    elif kind == "4xx":
        with post(answers=("451 later",) * 6) as (_, port):
            yield f"mailto://127.0.0.1:{port}?from=tabsync@example.org&smtp=127.0.0.1"
    elif kind == "not wired":
        yield None
    else:
        yield f"nosuch://{SECRET}@example.org/{SECRET}"


@pytest.mark.parametrize("kind", ["black hole", "refused", "4xx", "not wired", "unknown to Apprise"])
def test_the_next_is_told_and_the_channel_is_an_alert(
    told: Told,
    later: Callable[[timedelta], None],
    directory: Path,
    caplog: pytest.LogCaptureFixture,
    kind: str,
) -> None:
    with addresses(kind) as address:
        wired(told, address)
        told.watched.look()
        told.settle(lambda: len(told.box.got) == 1)  # not after 15 minutes, as there is no After
        assert told.box.subjects()[0].startswith("CRITICAL: Waiting, kitchen")
        assert (told.box.got[0]["X-Rcpt"], channel_alerts(told)) == ("boss@example.org", [])
        later(timedelta(seconds=15))
        told.settle(lambda: channel_alerts(told) == ["firing"] and len(told.box.got) == 2)
        assert told.box.subjects()[1].startswith("CRITICAL: channel: first, Admin: takes no messages")
        no_secret(told, directory, caplog.text)
    with post() as (box, port):
        wired(told, f"mailto://127.0.0.1:{port}?from=tabsync@example.org&smtp=127.0.0.1")
        later(timedelta(minutes=1))
        told.settle(lambda: channel_alerts(told) == ["ended"] and len(told.box.got) == 3)
        assert [one["X-Rcpt"] for one in box.got] == ["admin@example.org"] * len(box.got)
        assert any(one["subject"].startswith("CRITICAL: Waiting, kitchen") for one in box.got)
    assert told.box.subjects()[2].startswith("RECOVERED: channel: first, Admin")
    hooked = [one[HEADER.lower()] for one in told.hook]
    assert any("/K_f6_ln_2c_ Nacht/start" in one for one in hooked), hooked


def test_an_hour_of_time_outs_loses_nothing_and_delays_nobody(told: Told, later: Callable[[timedelta], None]) -> None:
    with black_hole() as port:
        wired(told, mail(port))
        told.watched.look()
        told.settle(lambda: len(told.box.got) == 1)
        began = clock.now()
        for _ in range(6):
            later(timedelta(minutes=10))
            told.notifier._look_at = 0.0
            told.notifier.step()
            told.settle(lambda: not told.notifier._on_way)
        (mine,) = [one for one in told.rows() if one["contact"] == "Admin" and one["event"] == "start"][:1]
        assert mine["tries"] >= 5 and mine["state"] in ("waiting", "sending") and mine["fact"] == "no answer in time"
        put(told.watched, "bar", 60)
        told.watched.look()
        seen, came = time.monotonic(), len(told.hook)
        told.settle(lambda: len(told.hook) > came, 3)  # while the other one's message hangs
        assert time.monotonic() - seen < 3 and (clock.now() - began).total_seconds() < 120
    put(told.watched, "kitchen", 1)
    told.watched.look()
    with post() as (box, port):
        wired(told, f"mailto://127.0.0.1:{port}?from=tabsync@example.org&smtp=127.0.0.1")
        later(timedelta(minutes=15))
        told.settle(lambda: all(one["state"] == "sent" for one in mine_of(told, "Admin")), 40)
    ids = [one for each in box.got for one in " ".join(str(each[HEADER]).split()).split(", ")]
    wanted = {f"{one['episode']}/Admin/{one['event']}" for one in mine_of(told, "Admin")}
    assert wanted <= set(ids) and len(set(ids)) == len(ids)


def mine_of(told: Told, contact: str) -> list[dict[str, object]]:
    return [one for one in told.rows() if one["contact"] == contact and one["event"] in ("start", "end")]


def test_ten_black_holes_delay_nobody(told: Told, directory: Path) -> None:
    rows = "".join(f"| Hole {n} | hole{n}@example.org | 24/7 | 1 | — | critical | first |\n" for n in range(10))
    manual = directory / "manual.md"
    manual.write_text(
        manual.read_text().replace(
            "| Boss | boss@example.org | 24/7 | 2", rows + "| Boss | boss@example.org | 24/7 | 1"
        )
    )
    with black_hole() as port:
        wired(told, mail(port))
        told.watched.look()
        began = time.monotonic()
        told.settle(lambda: len(told.box.got) == 1, 10)
        assert time.monotonic() - began < 5
        assert not any(one["state"] == "sent" for one in told.rows() if one["contact"].startswith("Hole"))


def test_who_is_not_told_by_a_channel_any_more_ends_its_alert(
    told: Told, later: Callable[[timedelta], None], directory: Path
) -> None:
    wired(told, None)
    told.watched.look()
    told.settle(lambda: len(told.box.got) == 1)
    later(timedelta(seconds=15))
    told.settle(lambda: channel_alerts(told) == ["firing"])
    manual = directory / "manual.md"
    manual.write_text(manual.read_text().replace("critical, warning | first |", "critical, warning | |"))
    later(timedelta(minutes=1))
    told.settle(lambda: channel_alerts(told) == ["ended"] and all(one["state"] != "waiting" for one in told.rows()))
    assert {one["state"] for one in told.rows() if one["contact"] == "Admin"} == {"given up"}


def test_a_locked_ledger_is_waited_for(told: Told, directory: Path) -> None:
    import sqlite3

    told.watched.look()
    wired(told, None)
    told.notifier.step()
    (file,) = directory.rglob("ledger.sqlite")
    held = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    held.execute("begin immediate")
    threading.Timer(30, held.execute, ("rollback",)).start()  # longer than one try waits
    told.settle(lambda: any("Waiting" in one for one in told.box.subjects()), 90)
    assert len([one for one in told.box.got if "Waiting" in one["subject"]]) == 1
    held.close()
