"""What is shown of a schedule after a bad time, from a ledger on the disk: sums are right, lists short, facts whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
from sqlalchemy import insert

from tabsync import __version__
from tabsync.cli.terminal import Terminal
from tabsync.kernel.clock import iso, now
from tabsync.kernel.page import Page
from tabsync.ledger.tables import evidence, manual_version, mark, occurrence, run
from tabsync.manual.load import read
from tabsync.postgres.conninfo import place
from tabsync.procedures import find
from tabsync.schedule.compliance import Compliance, look_compliance
from tabsync.schedule.expected import Version, expected
from tabsync.schedule.items import Item, items_of, output_of
from tabsync.schedule.judge import State
from tabsync.schedule.list import List, Next, Show, look_list, look_next, look_show
from tabsync.schedule.look import judged, look
from tabsync.schedule.report import Report, look_report
from tabsync.schedule.tally import tallies
from tabsync.workspace import Workspace

MINE, OTHER = "1/shop", "2/shop"
FACT = (
    "can't connect to db.example.org on port 5432: Connection refused; is the server running on that host and does it"
    " accept TCP/IP connections, or does a firewall keep this machine from it? It was tried three times"
)
RETENTION = (
    "## Retention\n\n| Class | What | Frequency | Retention | Stores |\n|---|---|---|---|---|\n"
    "| full | All | Daily | 30 days | Local |\n"
)
SCHEDULE = """## Schedule

### Daily, 02:00-05:00 America/Sao_Paulo

- Backup: `tabsync backup take full`
- Proof: `tabsync drill --backup latest`
- Health: `tabsync health`
- Prune: `tabsync backup prune --apply`
- Look at the log

### Every 10 minutes

- Copy: `tabsync wal copy --to second`

### Every 6 hours

- Tables: `tabsync backup take tables t`

### Hourly, :15

- List: `tabsync backup list`

### Continuously

- Receive: `tabsync wal receive`

### Weekly, Sunday 03:00 America/Sao_Paulo

- Verify: `tabsync backup verify all`
"""


class Kept:
    """A home whose schedule was kept for some days, and its ledger."""

    def __init__(self, directory: Path, schedule: str, days: float) -> None:
        path = directory / "manual.md"
        path.write_text(f"# M\n\n## Targets\n\n- RTO: < 1 hour\n- RPO: < 15 minutes\n\n{RETENTION}\n{schedule}")
        home = directory / "home"
        self.workspace = Workspace(home, "port=1", home / "store", path, f"sqlite:///{home / 'ledger.sqlite'}")
        manual, _ = read(path)
        self.now, self.items = now(), items_of(manual)
        self.version = Version(self.now - timedelta(days=days), manual.digest, self.items, __version__, MINE)
        items = [one.to_json() for one in self.items]
        row = {"at": iso(self.version.at), "digest": manual.digest, "program": __version__, "subject": MINE}
        self.add(manual_version, [row | {"items": items}])
        asked = {"at": iso(self.version.at), "kind": "identity", "subject": MINE, "ok": True, "run_id": None}
        self.add(evidence, [asked | {"facts": {"place": place(self.workspace.conninfo), "home": ""}}])

    def add(self, table: Any, rows: list[dict[str, Any]]) -> None:
        if rows:
            with self.workspace.ledger().writing() as connection:
                connection.execute(insert(table), rows)

    def occurrences(self) -> Iterator[tuple[Item, datetime, datetime]]:
        for one in expected([self.version], self.version.at, self.now, UTC):
            yield one.item, one.due, one.until

    def proof(self, item: Item, at: datetime, *, ok: bool = True, of: str = MINE, **facts: Any) -> dict[str, Any]:
        kind = output_of(item.key) if item.evidence == "output" else item.evidence
        said: dict[str, Any] = {"headline": "it is so", "item": item.key, "unknown": False} | facts
        if item.evidence in ("backup", "drill"):
            said |= {"backup": f"full-{at:%Y%m%dT%H%M%SZ}-ab", "kind": "tables" if "tables" in item.words else "full"}
        return {"at": iso(at), "kind": kind, "subject": of, "ok": ok, "run_id": None, "facts": said | facts}

    def run(self, item: Item, due: datetime, *, state: str = "ended", code: int | None = 0) -> dict[str, Any]:
        row = {"item": item.key, "due": iso(due), "state": state, "service": "h", "host": "h", "fence": 1, "tries": 1}
        row["home"] = ""
        row |= {"directory": "", "started_at": iso(due), "limit_at": iso(due), "run_id": "", "output": ""}
        ended = None if state == "running" else iso(due + timedelta(minutes=1))
        return row | {"ended_at": ended, "exit": code, "fact": FACT if code else "", "retry_at": None}


@pytest.fixture
def printed(capsys: pytest.CaptureFixture[str]) -> Any:
    """What a page is on paper of 100 columns."""

    def on_paper(words: str, page: Page) -> list[str]:
        procedure = find(words)
        assert procedure is not None
        Terminal(procedure).page(page)
        return capsys.readouterr().out.rstrip().splitlines()

    return on_paper


@pytest.mark.parametrize("seed", range(6))
def test_what_is_summed_is_what_comes_out_when_each_is_judged(directory: Path, seed: int) -> None:
    kept, chance = Kept(directory, SCHEDULE, 12), Random(seed)
    proofs, runs, marks = list[dict[str, Any]](), list[dict[str, Any]](), list[dict[str, Any]]()
    faults = [0.0, 0.02, 0.3, 0.9][seed % 4]
    for item, due, until in kept.occurrences():
        at = due + timedelta(seconds=chance.uniform(1, 90))
        if item.when.kind == "continuous":
            moments = (due + timedelta(minutes=5 * n) for n in range(288))
            proofs += [kept.proof(item, one) for one in moments if one < kept.now and chance.random() > faults / 50]
            continue
        fate = "done" if chance.random() >= faults else chance.choice(_FATES)
        if fate in ("skip", "tick") or (item.is_task and fate == "done"):
            kind = "skip" if fate == "skip" else "done"
            said = {"at": iso(at), "kind": kind, "item": item.key, "due": iso(due), "who": "ana"}
            marks.append(said | {"note": "so", "digest": ""})
        elif not item.is_task and fate != "missed":
            code = None if fate in ("dies", "runs") else 0 if fate in ("done", "late", "other", "unfit") else 1
            runs.append(kept.run(item, due, state={"dies": "died", "runs": "running"}.get(fate, "ended"), code=code))
            proofs += _left(kept, item, at, until, fate)
    kept.add(evidence, proofs)
    kept.add(occurrence, runs)
    kept.add(mark, marks)
    seen = look(kept.workspace)
    start = seen.now - timedelta(days=10)
    verdicts = judged(kept.workspace, seen, start, seen.now)
    found = tallies(kept.workspace, seen, start, seen.now)
    assert {one.item.key for one in found} == {one.occurrence.item.key for one in verdicts}
    for one in found:
        same = [verdict for verdict in verdicts if verdict.occurrence.item.key == one.item.key]
        assert one.counts == Counter(verdict.state for verdict in same), one.item.name
        assert one.caught_up == sum(verdict.caught_up is not None for verdict in same)
        others = [(verdict.occurrence.due, verdict.state, verdict.why) for verdict in same]
        rest = [(verdict.occurrence.due, verdict.state, verdict.why) for verdict in one.others]
        assert rest == [other for other in others if other[1] is not State.DONE]
        assert bool(one.days) == (one.item.name in ("wal-copy-to-second", "backup-list"))
        assert not one.days or sum(one.days.values(), Counter()) == one.counts


_FATES = ("missed", "fails", "nothing", "late", "other", "unfit", "unsure", "dies", "runs", "skip", "tick")


def _left(kept: Kept, item: Item, at: datetime, until: datetime, fate: str) -> list[dict[str, Any]]:
    """The evidence of a run."""
    if fate == "done":
        return [kept.proof(item, at)]
    if fate == "late":
        return [kept.proof(item, until + timedelta(minutes=2))]
    if fate == "other":
        return [kept.proof(item, at, of=OTHER)]
    if fate == "unfit":
        return [kept.proof(item, at, kind="schema", backup="full-20200101T000000Z-ab")]
    if fate == "unsure":
        return [kept.proof(item, at, ok=False, unknown=True, headline="could not be asked")]
    return [kept.proof(item, at, ok=False, headline="it did not work")] if fate == "fails" else []


def test_a_run_s_evidence_is_found_by_its_name_when_it_is_summed(directory: Path) -> None:
    """The clock was set back while it ran."""
    kept = Kept(directory, "## Schedule\n\n### Hourly\n\n- List: `tabsync backup list`\n", 2)
    (item,) = kept.items
    due = [due for _, due, _ in kept.occurrences()][10]
    row: dict[str, Any] = dict.fromkeys(("title", "approval", "actor", "host", "home", "plan_digest"), "")
    row |= {
        "id": "r1",
        "procedure": "backup list",
        "state": "done",
        "pid": 1,
        "target": {},
        "plan": {},
        "manual_digest": "",
    }
    row["started_at"] = iso(due)
    kept.add(run, [row])
    kept.add(evidence, [kept.proof(item, due - timedelta(minutes=20)) | {"run_id": "r1"}])
    kept.add(occurrence, [kept.run(item, due) | {"run_id": "r1"}])
    seen = look(kept.workspace)
    (found,) = tallies(kept.workspace, seen, kept.version.at, seen.now)
    assert found.counts[State.DONE] == 1
    assert next(one for one in found.others if one.occurrence.due == due - timedelta(hours=1)).caught_up is not None


def test_the_wal_of_a_year_does_not_hide_a_backup_that_was_missed(directory: Path) -> None:
    kept = Kept(directory, SCHEDULE, 10)
    kept.add(evidence, [kept.proof(item, due) for item, due, _ in kept.occurrences() if item.words[:1] == ("wal",)])
    found = look_compliance(kept.workspace, Compliance("10 days")).data
    by_name = {one["item"]: one for one in found["items"]}
    assert by_name["wal-copy-to-second"]["percent"] > 99
    assert by_name["wal-copy-to-second"]["not_done"] == []
    days = by_name["wal-copy-to-second"]["days"]
    assert {one["due"] for one in days[1:-1]} == {144}
    assert found["percent"] < 50


def test_a_report_of_everything_failed_has_forty_lines_of_a_hundred_columns(directory: Path, printed: Any) -> None:
    items = "".join(f"- Query {n}: `tabsync backup query latest 'select {n}'`\n" for n in range(60))
    lately = f"{now() - timedelta(hours=2):%H:00} UTC"  # within the last night at whatever hour the test runs
    daily = f"### Daily, {lately}\n\n{items}\n"
    kept = Kept(directory, f"## Schedule\n\n{daily}### Hourly\n\n- L: `tabsync backup list`\n", 4)
    runs = [kept.run(item, due, code=4) for item, due, _ in kept.occurrences()]
    kept.add(occurrence, runs)
    lines = printed("schedule report", look_report(kept.workspace, Report()))
    assert len(lines) <= 40
    assert max(map(len, lines)) <= 100
    assert "LAST NIGHT: " in lines[0]
    assert any("more: --json lists all" in line for line in lines)


def test_what_is_due_often_is_one_row_everywhere(directory: Path, printed: Any) -> None:
    kept = Kept(directory, SCHEDULE, 5)
    copied = [(item, due) for item, due, _ in kept.occurrences() if item.name == "wal-copy-to-second"]
    kept.add(evidence, [kept.proof(item, due) for item, due in copied if due < kept.now - timedelta(hours=2)])
    workspace = kept.workspace
    report = [one for one in printed("schedule report", look_report(workspace, Report())) if "wal-copy" in one]
    assert len([one for one in report if " done, " in one and "night before" not in one]) == 1
    upcoming = [one for one in printed("schedule next", look_next(workspace, Next(2))) if "wal-copy" in one]
    assert len(upcoming) == 1
    assert "then every 10 minutes: 288 times" in upcoming[0]
    shown = look_show(workspace, Show("wal-copy-to-second", 3))
    assert len(shown.data["occurrences"]) > 400
    assert len(printed("schedule show", shown)) < 12


def test_a_list_tells_reasons_whole_and_times_in_one_zone(directory: Path, printed: Any) -> None:
    kept = Kept(directory, SCHEDULE, 3)
    backups = [(item, due) for item, due, _ in kept.occurrences() if item.name == "backup-take-full"]
    kept.add(occurrence, [kept.run(item, due, code=4) | {"fact": f"{FACT}\nand more"} for item, due in backups])
    lines = printed("schedule list", look_list(kept.workspace, List()))
    assert max(map(len, lines)) <= 100
    assert FACT in " ".join(" ".join(lines).split())
    assert "and more" not in " ".join(lines)
    assert "Times are those of America/Sao_Paulo." in lines
    row = next(one for one in lines if one.startswith("backup-take-full"))
    assert "daily 02:00  " in row
    assert "02:00" in row.split("daily 02:00", 1)[1]
    assert any("tabsync schedule approve ITEM" in one for one in lines)
