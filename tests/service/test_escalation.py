"""An incident that nobody takes: who is told, in which order and when, though the service is killed meanwhile.

Two real services of two homes keep one PostgreSQL ledger, and their clock is a test's; a real SMTP server counts.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from tabsync.kernel.clock import parse_iso
from tabsync.ledger.open import open_ledger
from tabsync.postgres import embedded
from tests.conftest import Databases
from tests.service.place import HEAD, Home
from tests.service.test_lease import url_of
from tests.service.told import Mailbox
from tests.vanish import until

_OLD = "| Role | Contact | Availability |\n|---|---|---|\n| DBA | dba@example.org | always |\n"
_CONTACTS = """| Role | Contact | Availability | Order | After | Told of | By |
|---|---|---|---|---|---|---|
| First | first@example.org | 24/7 | 1 | 4 hours | critical | mail |
| Second | second@example.org | Mon-Fri 09:00-18:00 UTC | 2 | 4 hours | critical | mail |
| Third | third@example.org | On-call | 3 | 4 hours | critical | mail |
| Last | last@example.org | 24/7 | 4 | — | critical | mail |
"""
_SCHEDULE = "### Daily\n\n- Look: `tabsync health`\n"
_BEGAN = "CRITICAL: incident: critical: Payments fail: open"
_PATIENCE = 120


@pytest.fixture
def homes(
    home: Callable[..., Home], databases: Databases, server: embedded.Server, mailbox: tuple[Mailbox, int]
) -> tuple[Home, Home]:
    ledger = url_of(databases(), server)
    more = f'[notify]\nmail = "mailto://127.0.0.1:{mailbox[1]}?from=tabsync@example.org&smtp=127.0.0.1"'
    one = home(ledger=ledger, more=more)
    two = home(name="other", conninfo=one.conninfo, ledger=ledger, more=more)
    for each in (one, two):
        (each.directory / "manual.md").write_text(
            HEAD.replace(_OLD, _CONTACTS) + "### Daily\n\n- Look: `tabsync health`\n"
        )
    return one, two


def test_each_is_told_in_turn_across_a_death_and_a_take_over(
    homes: tuple[Home, Home], mailbox: tuple[Mailbox, int], server: embedded.Server
) -> None:
    box, (one, two) = mailbox[0], homes
    ledger = open_ledger(one.ledger, Path("/nowhere"))

    def told(event: str) -> list[tuple[str, datetime]]:
        """Who was to hear that of the incident, by what is in the ledger, in that order."""
        mine = [row["id"] for row in ledger.read("open_episodes", since="") if row["rule"] == id and not row["label"]]
        rows = [row for row in ledger.read("deliveries_since", since="") if row["episode"] in mine]
        found = [(row["contact"], parse_iso(row["created_at"])) for row in rows if row["event"] == event]
        return sorted(found, key=lambda each: each[1])

    def at(moment: str) -> None:
        for each in homes:
            each.at(moment)

    def came(words: str) -> list[str]:
        return [str(mail["X-Rcpt"]).partition("@")[0] for mail in box.got if str(mail["subject"]).startswith(words)]

    at("2026-12-01 22:00")  # a Tuesday, and nobody is in the office
    assert one.run("incident", "open", "Payments fail", "--severity", "critical").code == 0
    id = one.json("incident", "list")["incidents"][0]["id"]
    with one.service("serve", "--port", "0") as first:
        until(lambda: came(_BEGAN) == ["first"], _PATIENCE)
        with two.service("serve", "--port", "0") as second:
            second.waits_for("stands by")
            first.process.kill()
            at("2026-12-02 01:30")  # half an hour before the next is told
            until(lambda: came("STILL CRITICAL: incident") == ["first"], _PATIENCE)  # by the second, which took over
            assert [who for who, _ in told("start")] == ["First"]
            at("2026-12-02 02:01")
            until(lambda: came(_BEGAN) == ["first", "third"], _PATIENCE)
            assert two.run("incident", "ack", id).code == 0
            at("2026-12-02 08:00")  # when the last would have been told for hours
            assert two.run("alert", "test", "Sessions").code == 0
            until(lambda: came("[TEST] RECOVERED"), _PATIENCE)  # all that was due by then is sent
            second.process.kill()
    who, times = zip(*told("start"), strict=True)
    assert who == ("First", "Third"), "the second is outside of their hours, the last is not asked"
    assert 4 * 3600 <= (times[1] - times[0]).total_seconds() < 4.5 * 3600
    assert came(_BEGAN) == ["first", "third"]
    shown = two.json("incident", "show", id)
    assert shown["has_it"] == "root"
    lines = [line["text"] for line in shown["timeline"] if line["kind"] == "message"]
    assert [line.partition(" ")[0] for line in lines if line.endswith("this incident (start)")] == ["First", "Third"]
    ledger.close()
