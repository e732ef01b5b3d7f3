"""A home whose schedule has been kept for a year: a manual with 40 items, and a ledger with what they left.

The records are written as they would be; nothing of them was run.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

from tabsync import __version__
from tabsync.kernel.clock import iso, now
from tabsync.ledger.open import open_ledger
from tabsync.manual.load import read
from tabsync.postgres.conninfo import place
from tabsync.schedule.expected import Version, expected
from tabsync.schedule.items import OUTPUT, Item, items_of, output_of

SUBJECT = "7575757575757575757/shop"
_NOWHERE = "host=127.0.0.1 port=1"
YEAR = timedelta(days=365)
_LINES = [f"line {number} of what it printed, about as long as such a line is" for number in range(6)]
_TARGETS = "# Shop\n\n## Targets\n\n- RTO: < 1 hour\n- RPO: < 15 minutes\n"
_RETENTION = (
    "## Retention\n\n| Class | What | Frequency | Retention | Stores |\n|---|---|---|---|---|\n"
    "| full | Whole database | Daily | 90 days | Local |\n| pitr | Cluster | Weekly | 14 days | Local |\n"
)
_RARE = {
    "Daily, 02:00-05:00 Europe/Berlin": [
        "backup take full",
        "drill --backup latest --keep-warm",
        "backup prune --apply",
        "ledger copy",
    ],
    "Daily, 07:30 Europe/Berlin": ["health", "backup list", "backup provider", "backup verify latest"],
    "Daily, Mon-Fri 09:00 Europe/Berlin": ["", "", *(f"backup query latest 'select {n}'" for n in range(4))],
    "Weekly, Sunday 03:00 Europe/Berlin": ["backup take physical", "backup verify all"],
    "Weekly, Monday 08:00 Europe/Berlin": ["", "", *(f"backup query latest 'select {n}'" for n in range(10, 14))],
    "Monthly, first Sunday 06:00 Europe/Berlin": ["drill monthly", "ledger prune --apply", "", "", "manual check"],
    "Monthly, last day 06:00 Europe/Berlin": ["backup window", ""],
    "Quarterly, 07:00 Europe/Berlin": ["drill quarterly", ""],
    "Yearly, March Europe/Berlin": [""],
}
_OFTEN = {
    "Every 10 minutes": ["wal copy --to second", "wal status"],
    "Every 10 minutes, Mon-Fri 08:00-20:00 Europe/Berlin": ["backup query latest 'select 20'"],
    "Every 5 minutes": ["backup query latest 'select 21'"],
    "Hourly, :10 Europe/Berlin": ["status", "backup query latest 'select 22'"],
    "Every 6 hours": ["backup take tables users", "backup take schema"],
}


@dataclass(frozen=True, slots=True)
class Home:
    """A home. items: of its manual; now: until when its records are."""

    config: Path
    manual: Path
    items: tuple[Item, ...]
    now: datetime


def home_of_a_year(base: Path, *, often: bool, faults: bool = True, subject: str = SUBJECT) -> Home:
    """Make one.

    often: with the items that are due hourly or more often, and what they left; faults: not all went well; subject: of
    which database.
    """
    base.mkdir(parents=True)
    manual = base / "manual.md"
    manual.write_text("\n".join([_TARGETS, _RETENTION, "## Schedule\n", *_sections(_RARE | (_OFTEN if often else {}))]))
    config = base / "tabsync.toml"
    config.write_text(f'database = "{_NOWHERE}"\nmanual = "manual.md"\nstore = "store"\nhome = "home"\n')
    found, _ = read(manual)
    items, moment = items_of(found), now()
    ledger = open_ledger(f"sqlite:///{base / 'home' / 'ledger.sqlite'}", base / "home" / "running")
    began = moment - YEAR
    ledger.close()
    version = Version(began, found.digest, items, __version__, subject)
    _fill(base / "home" / "ledger.sqlite", version, moment, faults=faults)
    return Home(config, manual, items, moment)


def _sections(headings: dict[str, list[str]]) -> Iterator[str]:
    number = 0
    for heading, commands in headings.items():
        yield f"### {heading}\n"
        for command in commands:
            number += 1
            yield f"- Item {number}: `tabsync {command}`" if command else f"- Task {number}, by a person"
        yield ""


_INSERT_RUN = (
    "insert into occurrence (item, due, state, service, host, fence, tries, directory, started_at, limit_at, ended_at,"
    " exit, fact, run_id, retry_at, output, home) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, '')"
)


def _fill(path: Path, version: Version, moment: datetime, *, faults: bool) -> None:
    """One in a thousand was missed, or failed, or was late."""
    chance, runs, marks = Random(1), list[Any](), list[Any]()
    asked = json.dumps({"place": place(_NOWHERE), "home": ""})
    evidence: list[Any] = [(iso(version.at), "identity", version.subject, True, asked)]
    for one in expected([version], version.at, moment, ZoneInfo("UTC")):
        fate, done = chance.random() if faults else 1.0, one.due + timedelta(seconds=chance.uniform(2, 20))
        if one.item.is_task:
            marks.append((iso(done), "done", one.item.key, iso(one.due), "ana", "", ""))
            continue
        if fate < 0.0005:
            continue  # missed
        failed = fate < 0.001
        runs.append(_run(one.item.key, one.due, done, failed=failed))
        if not failed or one.item.evidence == OUTPUT:
            kind = output_of(one.item.key) if one.item.evidence == OUTPUT else one.item.evidence
            facts = json.dumps(_facts(one.item, done, failed=failed))
            evidence.append((iso(done), kind, version.subject, not failed, facts))
    with sqlite3.connect(path) as ledger:
        items = json.dumps([one.to_json() for one in version.items])
        ledger.execute(
            "insert into manual_version (at, digest, program, subject, items) values (?, ?, ?, ?, ?)",
            (iso(version.at), version.digest, version.program, version.subject, items),
        )
        ledger.executemany("insert into evidence (at, kind, subject, ok, facts) values (?, ?, ?, ?, ?)", evidence)
        ledger.executemany(
            "insert into mark (at, kind, item, due, who, note, digest) values (?, ?, ?, ?, ?, ?, ?)", marks
        )
        ledger.executemany(_INSERT_RUN, runs)
    ledger.close()


def _run(key: str, due: datetime, done: datetime, *, failed: bool) -> tuple[object, ...]:
    told = ("it did not work" if failed else "", "", None, "")
    began, limit = iso(due + timedelta(seconds=1)), iso(due + timedelta(hours=1))
    return key, iso(due), "ended", "shop", "host", 1, 1, key, began, limit, iso(done), int(failed), *told


def _facts(item: Item, done: datetime, *, failed: bool) -> dict[str, Any]:
    backup = f"full-{done.astimezone(UTC):%Y%m%dT%H%M%SZ}-a1b2"
    if item.evidence == OUTPUT:
        return {"item": item.key, "headline": _LINES[0], "lines": _LINES, "exit": int(failed), "unknown": False}
    if item.evidence == "drill":
        schedule = "monthly" if "monthly" in item.words else ""
        told = {"sentence": "PROVEN RESTORABLE: identical, 15 tables, 17,915,947 rows, 590 MB", "rto_seconds": 46.0}
        return told | {"backup": backup, "schedule": schedule, "content": "identical", "rpo_seconds": 8.5}
    kind = next((one for one in ("tables", "schema", "physical") if one in item.words), "full")
    return {"backup": backup, "kind": kind, "bytes": 590_000_000, "tables": 15, "reason": "manual", "lacks": []}
