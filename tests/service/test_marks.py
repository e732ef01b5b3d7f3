"""What people say of the schedule: skipped, ticked off, approved; gates that open when all is there."""

from __future__ import annotations

from collections.abc import Callable

from tests.service.place import Home

SCHEDULE = """### Daily, 02:00-05:00 UTC

- Full backup: `tabsync backup take full`
- Delete what has expired: `tabsync backup prune --apply`
- Forget old runs: `tabsync ledger prune --apply`
- Review the error logs (owner DBA)

### Before a production deployment

- A backup is proven: `tabsync drill --backup latest`
- The release notes were read (within 2 hours)
"""


def last(place: Home, item: str) -> dict[str, object]:
    """The newest occurrence of an item."""
    found: dict[str, object] = place.json("schedule", "show", item)["occurrences"][-1]
    return found


def test_what_deletes_waits_for_an_approval_and_for_another_after_an_edit(home: Callable[..., Home]) -> None:
    place = home(SCHEDULE)
    place.at("2026-12-01 12:00")
    place.run("serve", "--once")
    assert last(place, "backup-prune-apply")["state"] == "waits for approval"
    approved = place.run("schedule", "approve", "backup-prune-apply")
    assert approved.code == 0, approved.err
    place.run("serve", "--once")
    assert last(place, "backup-prune-apply")["state"] == "done"
    assert last(place, "ledger-prune-apply")["state"] == "waits for approval"
    place.run("schedule", "approve", "ledger-prune-apply")
    place.run("serve", "--once")
    assert place.rows("select approval from run where procedure = 'ledger prune'") == [("schedule approve",)]
    place.manual(SCHEDULE.replace("what has expired", "whatever has expired"))
    place.at("2026-12-02 02:30")
    place.run("serve", "--once")
    assert not place.rows("select 1 from occurrence where item = 'backup prune --apply' and due like '2026-12-02%'")
    place.at("2026-12-03 02:30")
    place.run("serve", "--once")
    assert last(place, "backup-prune-apply")["state"] == "waits for approval"
    assert len(place.rows("select 1 from audit where action = 'schedule approve'")) == 2


def test_skipped_with_a_reason_it_is_not_started(home: Callable[..., Home]) -> None:
    place = home(SCHEDULE)
    place.at("2026-12-01 12:00")
    place.run("serve", "--once")
    assert place.run("schedule", "skip", "backup-take-full").code == 2
    assert place.run("schedule", "skip", "backup-take-full", "--reason", "the disk is being changed").code == 0
    place.at("2026-12-02 02:30")
    place.run("serve", "--once")
    skipped = last(place, "backup-take-full")
    assert (skipped["state"], skipped["why"]) == ("skipped", "the disk is being changed")
    place.at("2026-12-03 02:30")
    place.run("serve", "--once")
    assert last(place, "backup-take-full")["state"] == "done"


def test_a_task_is_open_then_missed_or_done(home: Callable[..., Home]) -> None:
    place = home(SCHEDULE)
    place.at("2026-12-01 12:00")
    place.run("serve", "--once")
    place.at("2026-12-02 02:01")
    assert last(place, "review-the-error-logs")["state"] == "open"
    told = place.run("schedule", "done", "Review the error logs", "--note", "two timeouts")
    assert told.code == 0, told.err
    done = last(place, "review-the-error-logs")
    assert (done["state"], done["why"]) == ("done", "two timeouts")
    place.at("2026-12-03 12:00")
    assert last(place, "review-the-error-logs")["state"] == "missed"
    refused = place.run("schedule", "done", "backup-take-full")
    assert (refused.code, "schedule run backup-take-full" in refused.err) == (2, True)


def test_a_gate_opens_when_all_is_there_and_fresh(home: Callable[..., Home]) -> None:
    place = home(SCHEDULE)
    place.at("2026-12-01 12:00")
    closed = place.run("schedule", "gate", "production deployment")
    assert closed.code == 1
    assert "CLOSED" in closed.out
    assert "tabsync drill --backup latest" in closed.err
    place.run("backup", "take", "full")
    with_run = place.run("schedule", "gate", "production deployment", "--run")
    assert with_run.code == 1, with_run.out
    assert "PROVEN" in with_run.out
    place.run("schedule", "done", "the-release-notes-were-read", "--note", "4.2")
    assert place.run("schedule", "gate", "production deployment").code == 0
    place.at("2026-12-01 15:00")
    again = place.json("schedule", "gate", "production deployment")
    assert [(one["item"], one["ok"]) for one in again["items"]] == [
        ("drill-backup-latest", True),
        ("the-release-notes-were-read", False),
    ]
    assert place.run("schedule", "gate", "anything").code == 2


def test_a_run_by_hand_counts_and_gives_its_exit_code(home: Callable[..., Home]) -> None:
    place = home(SCHEDULE)
    place.at("2026-12-02 02:30")
    place.run("serve", "--once")
    place.at("2026-12-03 02:30")
    assert place.run("schedule", "run", "backup-take-full").code == 0
    assert place.run("serve", "--once").err.endswith("0 runs were due\n")
    assert last(place, "backup-take-full")["state"] == "done"
    refused = place.run("schedule", "run", "backup-prune-apply")
    assert (refused.code, "approve" in refused.err) == (4, True)
