"""What goes wrong with the audit log reaches a person by mail; collector, notifier, mail server are real."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from email.message import Message
from functools import partial
from pathlib import Path

import psycopg

from tabsync.manual.load import load
from tabsync.profiles.tabsync import PROFILE_MANUAL
from tests.service.place import Home
from tests.service.told import CONTACTS, Mailbox
from tests.vanish import until

TITLES = ("Audit triggers not firing", "Audit log default partition")
_STRAY = """
insert into audit_logs (action, entity_type, entity_id, created_at) values ('X', 'Y', '1', now() + interval '8 months')
"""


def manual() -> str:
    """The profile's manual, which measures each second what it measures each minute of the log, and tells by mail."""
    text = PROFILE_MANUAL.read_text(encoding="utf-8")
    for title in TITLES:
        text, count = re.subn(rf"(#### {title}\n.*?Every: )1 min", r"\g<1>1 s", text, count=1, flags=re.DOTALL)
        assert count == 1
    contacts = CONTACTS.replace("## Contacts", "### Contacts").replace("| hook |", "| mail |").strip()
    return re.sub(r"### Contacts\n.*?(?=\n### )", contacts, text, flags=re.DOTALL)


def test_a_trigger_that_is_switched_off_and_an_entry_without_a_month_are_told_by_mail(
    audited_database: Callable[[], str], directory: Path, mailbox: tuple[Mailbox, int]
) -> None:
    conninfo, (box, port) = audited_database(), mailbox
    home = Home(directory, conninfo)
    home.write("", more=f'[notify]\nmail = "mailto://127.0.0.1:{port}?from=tabsync@example.org&smtp=127.0.0.1"')
    (directory / "manual.md").write_text(manual())
    of_profile = load(PROFILE_MANUAL)
    for title in TITLES:  # so a message comes at once after a measurement, of which there is one each minute
        assert [one.for_ for one in of_profile.thresholds_of(title)] == [timedelta(0)]
    with (
        home.service("collector", "run", "--tell") as service,
        psycopg.connect(conninfo, autocommit=True) as session,
    ):
        until(lambda: _measured(home) >= set(TITLES), 60)
        assert not any(_told(box, "", title) for title in TITLES)
        session.execute("alter table orders disable trigger tabsync_audit_update")
        session.execute(_STRAY)
        for title in TITLES:
            until(partial(_told, box, "(WARNING|CRITICAL)", title), 60)
        done = home.run("audit", "repair")
        assert done.code == 0, done.err
        for title in TITLES:
            until(partial(_told, box, "RECOVERED", title), 60)
    assert "Traceback" not in service.said


def _told(box: Mailbox, word: str, title: str) -> bool:
    """Whether a message has come with the title and the word; one message may be of two alerts."""
    return any(title in text and re.match(word, text) for text in map(_text, box.got))


def _text(mail: Message) -> str:
    parts = [one.get_payload(decode=True) for one in mail.walk() if not one.is_multipart()]
    return str(mail["subject"]) + "".join(one.decode() for one in parts if isinstance(one, bytes))


def _measured(home: Home) -> set[str]:
    return {one["metric"] for one in home.json("metrics", "list")["metrics"] if one["level"] == "ok"}
