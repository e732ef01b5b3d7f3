"""The ledger: up to date, append-only where it must be, right about interrupted runs, and opened by many at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from scripts import new_ledger
from sqlalchemy import create_engine, delete, text, update
from sqlalchemy.exc import DatabaseError

import tabsync.ledger
from tabsync.kernel.errors import FailedPartway, Refused
from tabsync.kernel.plan import Plan
from tabsync.kernel.step import Call, Facts, Risk, Step
from tabsync.ledger import runs as runs_module
from tabsync.ledger.evidence import add_audit, add_evidence, evidence_since, latest_evidence, recent_audit
from tabsync.ledger.journal import LedgerJournal
from tabsync.ledger.open import HEAD, Ledger, open_ledger
from tabsync.ledger.runs import mark_interrupted, one_run, recent_runs
from tabsync.ledger.sqlite_file import NEW
from tabsync.ledger.tables import audit, metadata
from tabsync.system.claims import is_claimed
from tests.conftest import Databases

PLAN = Plan(
    "shop close",
    "Close the shop",
    (
        Step("lock", "Lock the door", Call("json:loads"), risk=Risk.REVERSIBLE, undo="unlock it"),
        Step("count", "Count the money", Call("json:loads")),
    ),
    {"database": "shop"},
)


@pytest.fixture
def url(directory: Path) -> str:
    return f"sqlite:///{directory / 'state' / 'ledger.sqlite'}"


@pytest.fixture
def ledger(url: str, directory: Path) -> Iterator[Ledger]:
    ledger = open_ledger(url, directory / "runs")
    yield ledger
    ledger.close()


def migrations() -> ScriptDirectory:
    config = Config()
    config.set_main_option("script_location", str(Path(tabsync.ledger.__file__).parent / "migrations"))
    return ScriptDirectory.from_config(config)


def test_the_head_is_alembics_head() -> None:
    assert migrations().get_heads() == [HEAD]


def test_the_migrations_make_what_the_tables_say(ledger: Ledger) -> None:
    with ledger.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
        assert context.get_current_revision() == HEAD


def test_a_new_one_is_made_at_once_as_the_migrations_make_it() -> None:
    assert NEW.read_text(encoding="utf-8") == new_ledger.by_migrations(), "python -m scripts.new_ledger"


def test_the_same_on_postgresql(databases: Databases, directory: Path) -> None:
    parts = dict(part.split("=", 1) for part in databases().split(" "))
    password = Path(parts["passfile"]).read_text().strip().rsplit(":", 1)[1]
    url = f"postgresql+psycopg://postgres:{password}@/{parts['dbname']}?host={parts['host']}&port={parts['port']}"
    ledger = open_ledger(url, directory / "runs")
    try:
        with ledger.engine.connect() as connection:
            assert compare_metadata(MigrationContext.configure(connection), metadata) == []
        run_id = LedgerJournal(ledger, "ann", "digest").begin(PLAN, "typed")
        found = one_run(ledger, run_id)
        assert found is not None
        assert found["plan"] == PLAN.to_json()
        add_audit(ledger, "ann", "login", "console", {"from": "127.0.0.1"})
        add_evidence(ledger, "drill", "73/shop", ok=False, facts={"number": 1}, run_id=run_id)
        everything_is_read(ledger, run_id)
    finally:
        ledger.close()


def test_every_statement_gives_on_sqlite_what_it_gives_on_postgresql(ledger: Ledger) -> None:
    run_id = LedgerJournal(ledger, "ann", "digest").begin(PLAN, "typed")
    add_audit(ledger, "ann", "login", "console", {"from": "127.0.0.1"})
    add_evidence(ledger, "drill", "73/shop", ok=False, facts={"number": 1}, run_id=run_id)
    everything_is_read(ledger, run_id)


def everything_is_read(ledger: Ledger, run_id: str) -> None:
    """Hold what is read, by both ways to read it, to what was written."""
    for found in (one_run(ledger, run_id), one_run(ledger, "latest")):
        assert found is not None
        assert (found["plan"], found["target"], found["finished_at"]) == (PLAN.to_json(), PLAN.target, None)
        assert [(step["number"], step["facts"], step["seconds"]) for step in found["steps"]] == [
            (1, None, None),
            (2, None, None),
        ]
    assert one_run(ledger, "nothing") is None
    (row,) = recent_runs(ledger, 5, "shop close")
    assert (row["id"], row["target"], "plan" in row) == (run_id, PLAN.target, False)
    assert recent_runs(ledger, 5, "another") == []
    (entry,) = [one for one in recent_audit(ledger) if one["action"] == "login"]
    assert (entry["target"], entry["detail"]) == ("console", {"from": "127.0.0.1"})
    (proof,) = evidence_since(ledger, "drill", "73/shop", ok=False)
    assert (proof["ok"], proof["facts"], proof["run_id"]) == (False, {"number": 1}, run_id)
    assert latest_evidence(ledger, "drill", ok=True) is None
    assert mark_interrupted(ledger) == []


def test_reading_makes_no_ledger_and_says_what_is_wrong(ledger: Ledger, directory: Path) -> None:
    for path in (directory / "state").iterdir():
        path.unlink()
    with pytest.raises(FailedPartway, match="the ledger failed: OperationalError: unable to open") as failed:
        recent_runs(ledger)
    assert failed.value.hint
    assert list((directory / "state").iterdir()) == []


def test_a_ledger_that_cannot_be_written_is_told(
    ledger: Ledger, directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was proven is kept in the emergency journal."""
    ledger.emergency.places = (directory / "state",)
    with ledger.engine.begin() as connection:
        connection.execute(text("drop table evidence"))
    with pytest.raises(FailedPartway, match="no such table: evidence"):
        latest_evidence(ledger, "drill")
    add_evidence(ledger, "drill", "73/shop", ok=True, facts={})
    assert "the ledger can't be written; this is recorded in" in capsys.readouterr().err
    (kept,) = ledger.emergency.runs().values()
    assert [one["row"]["kind"] for one in kept.entries] == ["drill"]


def test_only_its_owner_can_read_it(ledger: Ledger, directory: Path) -> None:
    assert (directory / "state" / "ledger.sqlite").stat().st_mode & 0o777 == 0o600


def test_the_audit_can_only_grow(ledger: Ledger) -> None:
    add_audit(ledger, "ann", "login", "console", {"from": "127.0.0.1"})
    for statement in (update(audit).values(actor="bob"), delete(audit), text("delete from audit where id = 1")):
        with pytest.raises(DatabaseError, match="append-only"), ledger.engine.begin() as connection:
            connection.execute(statement)
    (entry,) = recent_audit(ledger)
    assert (entry["actor"], entry["detail"]) == ("ann", {"from": "127.0.0.1"})


def test_a_run_is_recorded_from_intent_to_end(ledger: Ledger) -> None:
    journal = LedgerJournal(ledger, "ann", "manual-digest")
    run_id = journal.begin(PLAN, "typed")
    found = one_run(ledger, run_id)
    assert found is not None
    assert (found["state"], found["approval"], found["actor"], found["pid"]) == ("running", "typed", "ann", os.getpid())
    assert (found["plan_digest"], found["manual_digest"]) == (PLAN.digest(), "manual-digest")
    assert [step["state"] for step in found["steps"]] == ["waiting", "waiting"]
    journal.step_started(run_id, 1, PLAN.steps[0])
    assert states(ledger, run_id) == ("running", ["running", "waiting"])
    journal.step_finished(run_id, 1, {"locked": True}, 0.5)
    journal.step_started(run_id, 2, PLAN.steps[1])
    journal.step_failed(run_id, 2, "the till is stuck", "pull harder", 0.1)
    journal.finish(run_id, "failed")
    assert states(ledger, run_id) == ("failed", ["done", "failed"])
    found = one_run(ledger, run_id)
    assert found is not None
    assert found["steps"][0]["facts"] == {"locked": True}
    assert (found["steps"][1]["fact"], found["steps"][1]["hint"]) == ("the till is stuck", "pull harder")
    assert found["finished_at"] > found["started_at"]
    assert not (ledger.claims / run_id).exists()
    assert [entry["action"] for entry in recent_audit(ledger)] == ["shop close: begin"]
    assert one_run(ledger, "no such run") is None


def states(ledger: Ledger, run_id: str) -> tuple[str, list[str]]:
    found = one_run(ledger, run_id)
    assert found is not None
    return found["state"], [step["state"] for step in found["steps"]]


_DIE = """
import os, signal, sys
from pathlib import Path
from tabsync.ledger.journal import LedgerJournal
from tabsync.ledger.open import open_ledger
from tests.postgres.ledger.test_ledger import PLAN
journal = LedgerJournal(open_ledger(sys.argv[1], Path(sys.argv[2])), "bob", "")
run_id = journal.begin(PLAN, "not needed")
journal.step_started(run_id, 1, PLAN.steps[0])
print(run_id, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_run_whose_process_died_is_marked_and_a_living_one_is_not(url: str, ledger: Ledger, directory: Path) -> None:
    living = LedgerJournal(ledger, "ann", "").begin(PLAN, "not needed")
    died = subprocess.run(
        [sys.executable, "-c", _DIE, url, str(directory / "runs")],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert died.returncode == -signal.SIGKILL, died.stderr
    dead = died.stdout.strip()
    assert states(ledger, dead) == ("running", ["running", "waiting"])
    assert mark_interrupted(ledger) == [dead]
    assert states(ledger, dead) == ("interrupted", ["interrupted", "waiting"])
    assert states(ledger, living) == ("running", ["waiting", "waiting"])
    assert [path.name for path in ledger.claims.iterdir()] == [living]
    assert mark_interrupted(ledger) == []
    assert {run["id"] for run in recent_runs(ledger)} == {living, dead}


def test_a_run_of_another_machine_is_not_judged_from_here(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = LedgerJournal(ledger, "ann", "")
    monkeypatch.setattr("socket.gethostname", lambda: "another-machine")
    monkeypatch.setattr("tabsync.ledger.open.place_id", lambda _directory: "another-home")
    run_id = journal.begin(PLAN, "not needed")
    monkeypatch.undo()
    journal._claims.pop(run_id).release()
    assert mark_interrupted(ledger) == []
    assert states(ledger, run_id)[0] == "running"


def test_a_run_that_ends_while_it_is_looked_at_stays_done(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = LedgerJournal(ledger, "ann", "")
    run_id = journal.begin(PLAN, "not needed")

    def ending(directory: Path) -> bool:
        journal.finish(run_id, "done")
        return is_claimed(directory)

    monkeypatch.setattr(runs_module, "is_claimed", ending)
    assert mark_interrupted(ledger) == []
    assert states(ledger, run_id)[0] == "done"


_OPEN = """
import sys
from pathlib import Path
from tabsync.ledger.evidence import add_audit
from tabsync.ledger.open import open_ledger
sys.stdin.readline()
ledger = open_ledger(sys.argv[1], Path(sys.argv[2]))
add_audit(ledger, "somebody", "open", "ledger", {})
"""


def test_many_open_a_new_ledger_at_once(url: str, directory: Path) -> None:
    command = [sys.executable, "-c", _OPEN, url, str(directory / "runs")]
    openers = [subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(5)]
    told = []
    for opener in openers:
        assert opener.stdin is not None
        opener.stdin.write("\n")
        opener.stdin.flush()
    for opener in openers:
        told.append(opener.communicate(timeout=60)[1])
    assert [opener.returncode for opener in openers] == [0] * 5, told
    ledger = open_ledger(url, directory / "runs")
    assert len(recent_audit(ledger)) == 5
    ledger.close()


def test_a_ledger_of_a_newer_version_is_refused_and_left_as_it_is(url: str, ledger: Ledger, directory: Path) -> None:
    with ledger.engine.begin() as connection:
        connection.execute(text("update alembic_version set version_num = '9999'"))
    with pytest.raises(Refused, match="newer tabsync") as refused:
        open_ledger(url, directory / "runs")
    assert refused.value.hint == "upgrade tabsync"
    engine = create_engine(url)
    with engine.connect() as connection:
        assert connection.execute(text("select version_num from alembic_version")).scalar() == "9999"
    engine.dispose()


@pytest.mark.parametrize("content", [b"this is no database" * 100, b"SQLite format 3\0" + b"\xff" * 200])
def test_a_file_that_is_no_ledger_is_refused(url: str, directory: Path, content: bytes) -> None:
    (directory / "state").mkdir()
    (directory / "state" / "ledger.sqlite").write_bytes(content)
    with pytest.raises(Refused, match="can't open the ledger"):
        open_ledger(url, directory / "runs")
    assert (directory / "state" / "ledger.sqlite").read_bytes() == content


def test_a_place_that_cannot_be_written_is_refused(directory: Path) -> None:
    (directory / "file").touch()
    with pytest.raises(Refused, match="can't write the ledger") as refused:
        open_ledger(f"sqlite:///{directory / 'file' / 'ledger.sqlite'}", directory / "runs")
    assert "TABSYNC_HOME" in refused.value.hint


@pytest.mark.parametrize("url", ["nonsense", "postgresql+psycopg://nobody@127.0.0.1:1/nothing", "oracle://x/y"])
def test_a_ledger_that_cannot_be_opened_is_refused(url: str, directory: Path) -> None:
    with pytest.raises(Refused, match="ledger"):
        open_ledger(url, directory / "runs")


def test_a_full_ledger_leaves_the_old_entries(ledger: Ledger) -> None:
    add_audit(ledger, "ann", "first", "x", {})
    with ledger.engine.connect() as connection:
        pages = connection.execute(text("pragma page_count")).scalar()
    with pytest.raises(DatabaseError, match="full"), ledger.engine.begin() as connection:
        connection.execute(text(f"pragma max_page_count = {pages}"))
        connection.execute(audit.insert(), [row("x" * 100_000)])
    assert [entry["action"] for entry in recent_audit(ledger)] == ["first"]
    with ledger.engine.connect() as connection:
        assert connection.execute(text("pragma integrity_check")).scalar() == "ok"


def row(action: str) -> dict[str, Any]:
    return {"at": "2026", "actor": "ann", "action": action, "target": "", "detail": {}, "run_id": None}


def test_evidence_is_found_by_kind_subject_and_outcome(ledger: Ledger) -> None:
    def add(kind: str, subject: str, ok: bool, number: int) -> None:
        facts: Facts = {"number": number}
        add_evidence(ledger, kind, subject, ok=ok, facts=facts)

    add("drill", "73/shop", True, 1)
    add("drill", "73/shop", False, 2)
    add("backup", "73/shop", True, 3)
    add("drill", "74/shop", True, 4)

    def newest(*given: Any, ok: bool | None = None) -> int | None:
        found = latest_evidence(ledger, *given, ok=ok)
        return found["facts"]["number"] if found else None

    assert newest("drill", "73/shop") == 2
    assert newest("drill", "73/shop", ok=True) == 1
    assert newest("backup", "73/shop") == 3
    assert newest("drill") == 4
    assert newest("drill", "75/shop") is None
    assert newest("backup", "73/shop", ok=False) is None
    assert [one["facts"]["number"] for one in evidence_since(ledger, "drill")] == [4, 2, 1]


def test_opening_it_again_drops_no_lock_of_a_connection(tmp_path: Path) -> None:
    """Closing any descriptor of the file would: another process, which sees no reader then, takes the WAL away."""
    url = f"sqlite:///{tmp_path / 'ledger.sqlite'}"
    first = open_ledger(url, tmp_path / "runs")
    with first.engine.connect() as held:
        held.exec_driver_sql("select count(*) from run").fetchall()  # it stays open in the pool, with its lock
        open_ledger(url, tmp_path / "runs").close()
        locks = Path("/proc/locks").read_text()
        inode = f":{(tmp_path / 'ledger.sqlite').stat().st_ino} "
        assert any(inode in line and f" {os.getpid()} " in line for line in locks.splitlines())
    first.close()
