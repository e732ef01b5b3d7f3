"""The emergency journal: a ledger that is full, locked or broken loses nothing, and no line changes unseen."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabsync.cli.leftovers import delete_leftovers
from tabsync.kernel.errors import NotRecorded
from tabsync.kernel.plan import Plan
from tabsync.kernel.step import Risk, Step, call
from tabsync.ledger import chain, merge, sqlite_file
from tabsync.ledger.emergency import Emergency
from tabsync.ledger.evidence import add_audit
from tabsync.ledger.journal import LedgerJournal
from tabsync.ledger.open import Ledger, open_ledger, unopened
from tabsync.ledger.runs import one_run, recent_runs, runs_under, unread
from tabsync.service.chores import Chores
from tabsync.workspace import Workspace
from tests.service.disk import small_disk


def note(_context: object, *, text: str) -> dict[str, Any]:
    return {"text": text}


def plan_of(risk: Risk = Risk.READ, claims: tuple[str, ...] = ()) -> Plan:
    undo = "" if risk is Risk.READ else "no undo: it is a test"
    steps = tuple(
        Step(key, f"Note {key}", call(note, text=key), risk=risk, undo=undo, claims=claims) for key in ("a", "b")
    )
    return Plan("note", "Note something", steps, {"database": "shop"}, confirm="shop")


@pytest.fixture
def ledger(directory: Path, monkeypatch: pytest.MonkeyPatch) -> Ledger:
    monkeypatch.setenv("XDG_STATE_HOME", str(directory / "state"))
    monkeypatch.setattr(sqlite_file, "PATIENCE", 0)
    found = open_ledger(f"sqlite:///{directory / 'home' / 'ledger.sqlite'}", directory / "home" / "runs")
    found.emergency.places = (directory / "first", directory / "second")
    return found


def locked(ledger: Ledger) -> sqlite3.Connection:
    """A session that keeps everybody else from writing."""
    held = sqlite3.connect(ledger.url.removeprefix("sqlite:///"), isolation_level=None)
    held.execute("begin immediate")
    return held


def run_all(ledger: Ledger, plan: Plan) -> str:
    journal = LedgerJournal(ledger, "ana", "digest")
    run_id = journal.begin(plan, "typed")
    for number, step in enumerate(plan.steps, start=1):
        journal.step_started(run_id, number, step)
        journal.step_finished(run_id, number, {"text": step.key}, 0.5)
    journal.finish(run_id, "done")
    return run_id


def test_a_locked_ledger_loses_nothing(ledger: Ledger) -> None:
    """The same run, recorded by the ledger and by the journal, reads the same; so it does when it was merged."""
    plain = one_run(ledger, run_all(ledger, plan_of()))
    held = locked(ledger)
    run_id = run_all(ledger, plan_of())
    kept = one_run(ledger, run_id)
    assert kept is not None
    assert plain is not None
    kept.pop("home")
    assert kept.pop("journal")
    assert _alike(kept) == _alike(plain)
    assert [one["id"] for one in recent_runs(ledger)] == [run_id, plain["id"]]
    held.rollback()
    assert merge.merge(ledger) == [run_id]
    assert merge.merge(ledger) == []
    merged = one_run(ledger, run_id)
    assert merged == kept
    assert not list(ledger.emergency.places[0].iterdir())


def test_a_locked_ledger_is_waited_for_once(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each run tries the ledger first: a second for each would be twelve."""
    monkeypatch.setattr(sqlite_file, "PATIENCE", 1)
    held = locked(ledger)
    begun = time.monotonic()
    for _ in range(12):
        run_all(ledger, plan_of())
    assert time.monotonic() - begun < 10
    assert ledger.patience.seconds(10) == 0
    held.rollback()
    assert len(merge.merge(ledger)) == 12
    assert ledger.patience.seconds(10) == 10, "it can be written again"


def test_a_ledger_that_nobody_can_even_read_is_waited_for_once(
    ledger: Ledger, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_file, "PATIENCE", 1)
    workspace = replace(Workspace(directory / "home", "", directory, directory, ""), ledger_url=ledger.url)
    ledger.close()
    held = sqlite3.connect(ledger.url.removeprefix("sqlite:///"), isolation_level=None)
    held.execute("pragma locking_mode=exclusive")
    held.execute("begin exclusive")
    first = workspace.record()
    assert "locked" in first.broken
    begun = time.monotonic()
    for _ in range(20):
        workspace.record()
    delete_leftovers(workspace)
    assert time.monotonic() - begun < 15
    held.close()


def test_no_command_waits_to_do_what_the_next_can(
    ledger: Ledger, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The journal is taken into the ledger and dead runs are marked when that is free; nobody waits for it."""
    monkeypatch.setattr(sqlite_file, "PATIENCE", 20)
    workspace = replace(Workspace(directory / "home", "", directory, directory, ""), ledger_url=ledger.url)
    journal = LedgerJournal(workspace.ledger(), "ana", "digest")
    dead = journal.begin(plan_of(), "typed")
    journal._claims.pop(dead).release()
    held = locked(ledger)
    with workspace.ledger().patience.at_most(0):
        add_audit(workspace.ledger(), "ana", "note", "", {})
    begun = time.monotonic()
    delete_leftovers(workspace)
    assert time.monotonic() - begun < 15
    held.rollback()
    delete_leftovers(workspace)
    found = one_run(ledger, dead)
    assert found is not None
    assert found["state"] == "interrupted"
    assert "note" in _notes(ledger)


def test_a_ledger_that_fails_in_the_middle_of_a_run(ledger: Ledger) -> None:
    journal, plan = LedgerJournal(ledger, "ana", "digest"), plan_of()
    run_id = journal.begin(plan, "typed")
    journal.step_started(run_id, 1, plan.steps[0])
    held = locked(ledger)
    journal.step_finished(run_id, 1, {"text": "a"}, 0.5)
    held.rollback()
    journal.step_started(run_id, 2, plan.steps[1])  # the ledger is back, but its entries must come in order
    assert merge.merge(ledger) == [], "its process lives, and writes there"
    journal.step_finished(run_id, 2, {"text": "b"}, 0.5)
    journal.finish(run_id, "done")
    found = one_run(ledger, run_id)
    assert found is not None
    assert [one["state"] for one in found["steps"]] == ["done", "done"]
    assert merge.merge(ledger) == [run_id]
    assert [one["facts"] for one in (one_run(ledger, run_id) or {})["steps"]] == [{"text": "a"}, {"text": "b"}]


def test_killed_between_merging_and_deleting_it_is_merged_once(ledger: Ledger) -> None:
    held = locked(ledger)
    run_all(ledger, plan_of())
    held.rollback()
    (kept,) = ledger.emergency.runs().values()
    assert merge._write(ledger, kept)
    assert not merge._write(ledger, kept)
    assert len(ledger.read("audit", limit=10)) == 2  # that it began, and that it was merged


def _another(ledger: Ledger) -> Ledger:
    """The same ledger, as another process has it."""
    found = open_ledger(ledger.url, ledger.claims)
    found.emergency.places = ledger.emergency.places
    return found


def _notes(ledger: Ledger) -> list[str]:
    rows = [one["action"] for one in reversed(ledger.read("audit", limit=100))]
    return [one for one in rows if one != merge._ACTION]


@pytest.mark.parametrize("died", [False, True])
def test_what_another_process_takes_while_it_is_written_is_not_lost(ledger: Ledger, *, died: bool) -> None:
    """A process that lives for long notes what belongs to no run; another takes that into the ledger meanwhile.

    died: the other one was killed before it deleted the files.
    """
    other = _another(ledger)
    for number in range(4):
        held = locked(ledger)
        add_audit(ledger, "ana", f"note {number}", "", {})
        held.rollback()
        if died and number < 3:
            merge._write(other, *other.emergency.runs().values())
        else:
            assert len(merge.merge(other)) == 1
            assert not other.emergency.runs()
    add_audit(ledger, "ana", "note 4", "", {})
    assert _notes(ledger) == [f"note {number}" for number in range(5)]


def test_a_line_that_follows_what_was_just_taken(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new file names the end of one that is gone by then: the ledger knows that end, so nothing is missing."""
    other = _another(ledger)
    held = locked(ledger)
    add_audit(ledger, "ana", "before", "", {})
    ledger.emergency.let_go(ledger.emergency.loose)
    end_of = type(ledger.emergency)._end_of

    def late(self: Emergency, run_id: str) -> tuple[str, int]:
        found = end_of(self, run_id)
        held.rollback()
        merge.merge(other)
        return found

    monkeypatch.setattr(Emergency, "_end_of", late)
    add_audit(ledger, "ana", "after", "", {})
    monkeypatch.undo()
    (kept,) = other.emergency.runs().values()
    assert (kept.number, kept.broken) == (1, "")
    merge.merge(other)
    assert _notes(ledger) == ["before", "after"]
    assert other.read("audit", limit=1)[0]["detail"]["broken"] is None
    assert not other.emergency.runs()


def test_a_file_that_is_missing_is_said(ledger: Ledger) -> None:
    held = locked(ledger)
    add_audit(ledger, "ana", "before", "", {})
    (path,) = ledger.emergency.places[0].iterdir()
    ledger.emergency.let_go(ledger.emergency.loose)
    add_audit(ledger, "ana", "after", "", {})
    path.unlink()
    held.rollback()
    merge.merge(ledger)
    assert _notes(ledger) == ["after"]
    assert ledger.read("audit", limit=1)[0]["detail"]["broken"] == "what was before it is missing"


def test_a_file_that_somebody_changed_is_kept(ledger: Ledger) -> None:
    """What is before the change is taken into the ledger, once; the file stays for whoever looks into it."""
    held = locked(ledger)
    run_id = run_all(ledger, plan_of())
    held.rollback()
    (path,) = ledger.emergency.places[0].iterdir()
    path.write_text(path.read_text().replace('"done"', '"gone"'))
    assert merge.merge(ledger) == [run_id]
    assert merge.merge(ledger) == []
    assert path.exists()
    assert ledger.emergency.runs()[run_id].broken


def test_a_run_that_died_is_shown_as_interrupted(ledger: Ledger) -> None:
    held = locked(ledger)
    journal, plan = LedgerJournal(ledger, "ana", "digest"), plan_of()
    run_id = journal.begin(plan, "typed")
    journal.step_started(run_id, 1, plan.steps[0])
    journal._claims.pop(run_id).release()
    found = one_run(ledger, run_id)
    held.rollback()
    assert found is not None
    assert found["state"] == "interrupted"
    assert [one["state"] for one in found["steps"]] == ["interrupted", "waiting"]


def test_two_that_claim_the_same_see_each_other_without_the_ledger(ledger: Ledger) -> None:
    held = locked(ledger)
    journal = LedgerJournal(ledger, "ana", "digest")
    journal.begin(plan_of(claims=("database:shop",)), "typed")
    with pytest.raises(Exception, match="note by ana uses database:shop"):
        journal.begin(plan_of(claims=("database:shop",)), "typed")
    held.rollback()


def test_where_the_first_place_is_full_the_second_goes_on(ledger: Ledger, directory: Path) -> None:
    """The disk becomes full in the middle of a line: that line is written whole in the next place."""
    held = locked(ledger)
    with small_disk(directory / "first", "1m") as disk:
        journal, plan = LedgerJournal(ledger, "ana", "digest"), plan_of()
        run_id = journal.begin(plan, "typed")
        disk.fill()
        for number, step in enumerate(plan.steps, start=1):
            journal.step_started(run_id, number, step)
            journal.step_finished(run_id, number, {"text": "x" * 5000}, 0.5)
        journal.finish(run_id, "done")
        assert len(list((directory / "second").iterdir())) == 1
        held.rollback()
        assert merge.merge(ledger) == [run_id]
    found = one_run(ledger, run_id)
    assert found is not None
    assert (found["state"], [one["state"] for one in found["steps"]]) == ("done", ["done", "done"])


def test_nowhere_to_write(ledger: Ledger, capsys: pytest.CaptureFixture[str]) -> None:
    """What destroys nothing goes on, and prints what it would have recorded; the rest is refused."""
    held = locked(ledger)
    ledger.emergency.places = (Path("/proc/nowhere"),)
    run_id = run_all(ledger, plan_of())
    printed = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [one["entry"]["do"] for one in printed] == ["begin", "step", "step", "step", "step", "run"]
    assert {one["run"] for one in printed} == {run_id}
    with pytest.raises(NotRecorded, match="neither the ledger nor the emergency journal"):
        run_all(ledger, plan_of(Risk.DESTRUCTIVE))
    ledger.emergency.unrecorded = "the disk burns"
    run_all(ledger, plan_of(Risk.DESTRUCTIVE))
    assert "the disk burns" in capsys.readouterr().err
    held.rollback()


@given(
    st.lists(st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=9), max_size=3), max_size=6),
    st.data(),
)
def test_no_byte_of_it_changes_unseen(place: Path, told: list[Any], data: st.DataObject) -> None:
    """Whatever one byte is changed to, what is read is a beginning of what was written, never anything else."""
    path = place / "chain"  # it is read fifty thousand times: not from a disk
    path.unlink(missing_ok=True)
    writing = chain.create(path)
    for one in told:
        writing.append(one)
    writing.close()
    found = chain.read(path)
    assert found is not None
    assert [entry for _, entry in found.entries] == told
    assert not found.broken
    content = bytearray(path.read_bytes())
    if not content:
        return
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] = data.draw(st.integers(0, 255).filter(lambda byte: byte != content[at]))
    path.write_bytes(bytes(content))
    again = chain.read(path)
    assert again is not None
    entries = [entry for _, entry in again.entries]
    assert entries == told[: len(entries)]
    assert again.broken or len(entries) == len(told) or content[-1:] != b"\n"
    for cut in reversed(range(len(content))):
        os.truncate(path, cut)
        short = chain.read(path)
        assert short is not None
        assert [entry for _, entry in short.entries] == told[: len(short.entries)]


def test_files_that_are_not_ours_are_not_read(ledger: Ledger, directory: Path) -> None:
    """A link, a second name, one that others may write: none is read, and none is written through."""
    held = locked(ledger)
    run_id = run_all(ledger, plan_of())
    held.rollback()
    (path,) = ledger.emergency.places[0].iterdir()
    assert path.stat().st_mode & 0o777 == 0o600
    second = path.with_name(f"{path.name}-2")
    os.link(path, second)
    assert ledger.emergency.runs() == {}
    second.unlink()
    path.chmod(0o620)
    assert ledger.emergency.runs() == {}
    path.chmod(0o600)
    moved = directory / "moved"
    path.rename(moved)
    path.symlink_to(moved)
    assert ledger.emergency.runs() == {}
    with pytest.raises(FileExistsError):
        chain.create(path)
    path.unlink()
    moved.rename(path)
    assert [*ledger.emergency.runs()] == [run_id]
    other = Emergency(ledger.emergency.places, "of another ledger")
    assert other.runs() == {}


def _alike(run: dict[str, Any]) -> dict[str, Any]:
    """A run without what differs between two runs of one plan."""
    steps = [{**one, "started_at": None, "run_id": None} for one in run["steps"]]
    return {**run, "id": None, "started_at": None, "finished_at": None, "steps": steps}


def test_the_service_takes_it_into_the_ledger(ledger: Ledger, directory: Path) -> None:
    held = locked(ledger)
    workspace = replace(Workspace(directory / "home", "", directory, directory, ""), ledger_url=ledger.url)
    workspace.ledger().emergency.places = ledger.emergency.places
    add_audit(ledger, "ana", "before", "", {})
    held.rollback()
    said: list[str] = []
    chores = Chores(workspace, said.append)
    chores.look()
    assert chores._working
    chores._working.join()
    assert _notes(ledger) == ["before"]
    assert said == ["the ledger can be written again: it has taken in a run of the emergency journal"]


def read_only(home: Path) -> None:
    """As after an error of the disk: what is there can be read."""
    subprocess.run(["mount", "--bind", home, home], check=True)
    subprocess.run(["mount", "-o", "remount,bind,ro", home], check=True)


@pytest.mark.parametrize("broken", ["full", "read-only"])
def test_runs_are_listed_on_a_disk_that_takes_nothing(
    directory: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    """What the ledger has and what the journal has; nobody has it open, so SQLite would need files beside it."""
    monkeypatch.setenv("XDG_STATE_HOME", str(directory / "state"))
    with small_disk(directory / "disk", "4m") as disk:
        url, claims = f"sqlite:///{disk.place / 'home' / 'ledger.sqlite'}", disk.place / "home" / "runs"
        first = open_ledger(url, claims)
        plain = run_all(first, plan_of())
        first.close()
        if broken == "full":
            disk.fill()
        else:
            read_only(disk.place / "home")
        try:
            ledger = open_ledger(url, claims)
            journal = LedgerJournal(ledger, "ana", "digest", parent=plain)
            kept = journal.begin(plan_of(), "typed")
            assert [one["id"] for one in recent_runs(ledger)] == [kept, plain]
            assert [one["id"] for one in runs_under(ledger, plain)] == [kept]
            assert unread(ledger) == ""
            ledger.close()
        finally:
            if broken == "read-only":
                subprocess.run(["umount", "--lazy", disk.place / "home"], check=True)


def test_a_ledger_that_nobody_can_read_may_know_the_run(ledger: Ledger, directory: Path) -> None:
    """Its beginning is in the ledger and only what followed in the journal: that is not "there is no such run"."""
    journal, plan = LedgerJournal(ledger, "ana", "digest"), plan_of()
    run_id = journal.begin(plan, "typed")
    held = locked(ledger)
    journal.step_started(run_id, 1, plan.steps[0])
    held.rollback()
    closed = unopened(ledger.url, ledger.claims, broken="the disk is gone")
    closed.emergency.places = ledger.emergency.places
    assert run_id in closed.emergency.runs()
    with pytest.raises(NotRecorded, match="the disk is gone"):
        one_run(closed, run_id)
    assert unread(closed) == "the disk is gone"
