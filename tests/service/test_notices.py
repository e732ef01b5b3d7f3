"""What is not visible here is said once a week with the statement that changes it; the night's report each morning."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from email.message import Message
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import delete, insert, select, update

from tabsync.kernel.clock import iso, now, parse_iso
from tabsync.ledger.tables import delivery, episode, manual_version
from tabsync.manual.load import read
from tabsync.monitoring.alerts.keep import fired
from tabsync.monitoring.notify.send import HEADER
from tabsync.schedule.look import Look, look
from tabsync.schedule.record import put_in_force
from tabsync.service import notices
from tabsync.service.notices import Notices, night_ends
from tabsync.service.notifier import Notifier
from tabsync.workspace import Workspace
from tests.conftest import Databases, run_sql
from tests.service.test_collector import MANUAL, Watched
from tests.service.told import CONTACTS, Mailbox, Told

HIDDEN = """
### Payments

Unit: count of payments
Every: 1 s

```sql
select count(*) as value from Shop."Pay ments"
```

### Sessions

Unit: count of sessions
Every: 1 s

```sql
select null::int as value, 'the role is not a member of pg_monitor' as note
where not pg_has_role('pg_monitor', 'usage')
union all
select 1, null where pg_has_role('pg_monitor', 'usage')
```

### Gone

Unit: count of things
Every: 1 s

```sql
select count(*) as value from waiting
```

## Thresholds
"""


@pytest.fixture
def told(
    databases: Databases,
    workspaces: Callable[..., Workspace],
    directory: Path,
    mailbox: tuple[Mailbox, int],
    webhook: tuple[list[dict[str, str]], int],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Told]:
    """A role that may see a table, and neither a schema of the application nor what pg_monitor sees."""
    monkeypatch.setattr(notices, "LASTS", 0.0)
    monkeypatch.setattr(notices, "_LOOK", 0.0)
    conninfo = databases()
    name = psycopg.conninfo.conninfo_to_dict(conninfo)["dbname"]
    role = f"Watcher of {name}"
    run_sql(conninfo, "create table waiting (name text, orders int)")
    run_sql(conninfo, "create schema shop")
    run_sql(conninfo, 'create table shop."Pay ments" (id int)')
    run_sql(conninfo, "create role {} login password 'x'", role)
    run_sql(conninfo, "grant select on waiting to {}", role)
    path = directory / "manual.md"
    path.write_text(MANUAL.replace("\n## Thresholds\n", HIDDEN, 1) + CONTACTS)
    channels = (
        ("mail", f"mailto://127.0.0.1:{mailbox[1]}?from=tabsync@example.org&smtp=127.0.0.1"),
        ("hook", f"json://127.0.0.1:{webhook[1]}/alerts"),
    )
    watched = Watched(
        replace(workspaces(psycopg.conninfo.make_conninfo(conninfo, user=role, password="x"), path), channels=channels)
    )
    found = Told(watched, Notifier(watched.workspace, "test", at_hour(12), watched.said.append), mailbox[0], webhook[0])
    yield found
    found.notifier.end()
    watched.collector.end()
    run_sql(conninfo, "drop owned by {}", role)
    run_sql(conninfo, "drop role {}", role)


def at_hour(hour: int) -> timezone:
    """A zone in which it is that hour now."""
    return timezone(timedelta(hours=(hour - now().hour + 12) % 24 - 12))


def hidden(told: Told) -> list[str]:
    return [one for one in told.box.subjects() if one.startswith("NOT VISIBLE HERE")]


def text_of(mail: Message) -> str:
    body = mail.get_payload(decode=True)
    assert isinstance(body, bytes)
    return body.decode()


def steps(told: Told, count: int = 3) -> None:
    for _ in range(count):
        told.watched.look()
        told.notifier._look_at = 0.0
        told.notifier._ledger_stamp = None
        told.notifier.step()


def test_what_is_not_visible_is_said_once_with_what_would_change_it(told: Told) -> None:
    told.watched.look()
    told.settle(lambda: bool(hidden(told)))
    (mail,) = told.box.got
    assert mail["X-Rcpt"] == "admin@example.org"  # who is told of warnings; the others are not
    assert str(mail["subject"]).startswith("NOT VISIBLE HERE: 2 metrics of the manual")
    assert str(mail[HEADER]).endswith("/Admin/notice")
    text = text_of(mail)
    assert "acknowledge:" not in text and "Gone" not in text
    grants = [line.partition("to change it: ")[2] for line in text.splitlines() if "to change it:" in line]
    assert [one.partition(" to ")[0] for one in grants] == [
        "grant usage on schema shop",
        'grant select on shop."Pay ments"',
        "grant pg_monitor",
    ]
    steps(told)
    told.watched.collector.end()
    told.watched.collector = type(told.watched.collector)(told.watched.workspace, "test")  # killed, and started again
    steps(told)
    assert len(told.box.got) == 1 and told.hook == []
    assert fired(told.watched.workspace.ledger(), now() - timedelta(days=1)) == []  # no alert
    week_later(told, timedelta(days=6))
    steps(told)
    assert len(told.box.got) == 1
    week_later(told, timedelta(days=2))
    told.watched.look()
    told.settle(lambda: len(hidden(told)) == 2)
    for one in grants:  # what it says does change it
        run_sql(conninfo_of_owner(told), one.rstrip(";").replace("{", "{{"))
    week_later(told, timedelta(days=8))
    steps(told)
    assert len(hidden(told)) == 2
    assert not any(one.error for one in told.watched.collector.step())


def week_later(told: Told, by: timedelta) -> None:
    """As if all that was said had been said earlier."""
    with told.watched.workspace.ledger().writing() as connection:
        for row in connection.execute(select(episode)).mappings().all():
            before = iso(parse_iso(row["began_at"]) - by)
            earlier = dict(row) | {"id": f"{row['id']}-{by.days}", "began_at": before, "ended_at": before}
            connection.execute(insert(episode).values(**earlier))  # an id is made of the day
            connection.execute(update(delivery).where(delivery.c.episode == row["id"]).values(episode=earlier["id"]))
            connection.execute(delete(episode).where(episode.c.id == row["id"]))


def conninfo_of_owner(told: Told) -> str:
    return psycopg.conninfo.make_conninfo(told.watched.workspace.conninfo, user="postgres", password="")


def test_nobody_is_told_of_it_at_night(told: Told) -> None:
    told.notifier.here = at_hour(3)
    told.watched.look()
    steps(told)
    assert told.rows() == []
    told.notifier.here = at_hour(9)
    told.settle(lambda: bool(hidden(told)))


def test_what_was_measured_and_is_not_any_more_is_an_alert_instead(told: Told) -> None:
    run_sql(conninfo_of_owner(told), "revoke select on waiting from {}", role_of(told))
    run_sql(conninfo_of_owner(told), "grant select on waiting to {}", role_of(told))
    told.watched.look()
    run_sql(conninfo_of_owner(told), "revoke select on waiting from {}", role_of(told))
    told.watched.look()
    assert "Gone" not in told.watched.collector._notices._hidden
    assert ("Gone", "") in told.watched.episodes("blind")


def role_of(told: Told) -> str:
    return str(psycopg.conninfo.conninfo_to_dict(told.watched.workspace.conninfo)["user"])


NIGHT = """## Schedule

### Daily, 02:00-05:00 UTC

- Full backup: `tabsync backup take full`
- Health: `tabsync health` (within 1 hour)

### Hourly

- List: `tabsync backup list`
"""


@pytest.fixture
def kept(told: Told) -> Look:
    """A schedule that somebody has kept for three days, and in which nothing ran."""
    workspace = told.watched.workspace
    path = workspace.manual_path
    before, _, after = path.read_text().partition("## Schedule")
    path.write_text(before + NIGHT + "\n## Metrics" + after.partition("## Metrics")[2])
    manual, problems = read(path)
    assert problems == []
    put_in_force(workspace.ledger(), manual, "1/shop")
    with workspace.ledger().writing() as connection:
        connection.execute(update(manual_version).values(at=iso(now() - timedelta(days=3))))
    return replace(look(workspace), here=UTC)


def test_the_night_s_report_is_sent_when_its_last_window_has_ended(told: Told, kept: Look) -> None:
    workspace = told.watched.workspace
    today = datetime.combine(now().date(), datetime.min.time(), UTC)
    assert night_ends(replace(kept, now=today + timedelta(hours=9))) == today + timedelta(hours=5)
    says = Notices(workspace, lambda _connection: None)
    says.say_night(replace(kept, now=today + timedelta(hours=4, minutes=59)))
    assert workspace.ledger().read("open_episodes", since="") == []
    for _ in range(2):  # killed, and started again
        for hour in (5, 6, 11, 20):
            says.say_night(replace(kept, now=today + timedelta(hours=hour)))
        says = Notices(workspace, lambda _connection: None)
    (row,) = workspace.ledger().read("open_episodes", since="")
    assert (row["kind"], row["state"], row["fired_at"]) == ("report", "ended", None)
    with workspace.ledger().writing() as connection:  # it is sent for a day, whatever time it is now
        connection.execute(update(episode).values(began_at=iso(now()), ended_at=iso(now())))
    told.settle(lambda: bool(told.box.got))
    (mail,) = told.box.got
    assert mail["X-Rcpt"] == "admin@example.org"
    assert str(mail["subject"]).startswith("LAST NIGHT: ")
    text = text_of(mail)
    assert "backup-take-full" in text and "missed" in text and "acknowledge" not in text
    assert str(mail[HEADER]) == f"{row['id']}/Admin/notice"


def test_there_is_no_report_where_nobody_keeps_a_schedule(told: Told) -> None:
    says = Notices(told.watched.workspace, lambda _connection: None)
    says.say_night(look(told.watched.workspace))
    assert told.watched.workspace.ledger().read("open_episodes", since="") == []
