"""What people say of the schedule: skipped, ticked off, approved; gates that open when all is there."""

from __future__ import annotations

from collections.abc import Callable

from tests.conftest import Databases
from tests.service.place import Home
from tests.whole import whole

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


@whole
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


@whole
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


def test_what_only_a_person_starts_is_never_started_and_says_so(home: Callable[..., Home]) -> None:
    """Neither what destroys nor what would approve it, nor an operator: the manual's author is no admin."""
    place = home(
        "### Daily, 02:00-05:00 UTC\n\n"
        "- Back: `tabsync restore in-place --from latest --yes`\n"
        "- Delete: `tabsync backup prune --apply`\n"
        "- Approve it: `tabsync schedule approve backup-prune-apply`\n"
        "- One more: `tabsync operator add eve --role admin --generate`\n"
        "- List: `tabsync backup list`\n\n"
        "### Before a production deployment\n\n"
        "- Nobody may: `tabsync operator add ana --role admin --generate`\n"
    )
    place.at("2026-12-02 02:30")
    assert place.run("serve", "--once").code == 0
    assert [item for (item,) in place.rows("select item from occurrence")] == ["backup list"]
    place.at("2026-12-03 02:30")
    assert place.run("serve", "--once").code == 0
    assert {item for (item,) in place.rows("select item from occurrence")} == {"backup list"}
    found = {one["item"]: one["last"]["state"] for one in place.json("schedule", "list")["items"] if one["last"]}
    assert found["restore-in-place-from-latest-yes"] == "not built"
    refused = place.run("schedule", "run", "schedule-approve-backup-prune-apply")
    assert (refused.code, "only a person starts schedule approve" in refused.err) == (2, True)
    gate = place.json("schedule", "gate", "production deployment", "--run")
    assert (gate["ok"], "only a person starts operator add" in str(gate["items"])) == (False, True)
    assert not place.rows("select 1 from operator")


def test_the_copy_of_the_ledger_counts(home: Callable[..., Home]) -> None:
    place = home("### Daily, 02:00-05:00 UTC\n\n- Copy: `tabsync ledger copy`\n")
    place.at("2026-12-02 02:30")
    assert place.run("serve", "--once").code == 0
    assert last(place, "ledger-copy")["state"] == "done"


def test_who_says_it_twice_does_not_settle_tomorrow(home: Callable[..., Home]) -> None:
    place = home(SCHEDULE)
    place.at("2026-12-02 01:00")
    place.run("serve", "--once")
    early = place.run("schedule", "done", "Review the error logs", "--note", "one")
    assert (early.code, "not due yet" in early.err) == (4, True)
    place.at("2026-12-03 02:30")
    first = place.run("schedule", "done", "Review the error logs", "--note", "one")
    assert (first.code, "due Thu 03 Dec 02:00" in first.out) == (0, True), first.out
    again = place.run("schedule", "done", "Review the error logs", "--note", "one")
    assert (again.code, "is done already by" in again.err) == (4, True)
    for code, told in ((0, "due Thu 03 Dec 02:00"), (4, "is skipped already by")):
        skipped = place.run("schedule", "skip", "backup-take-full", "--reason", "twice")
        assert (skipped.code, told in skipped.out + skipped.err) == (code, True), skipped
    place.at("2026-12-03 06:00")  # its window is over: now the next one may be skipped, once
    for code, told in ((0, "due Fri 04 Dec 02:00"), (4, "is skipped already by")):
        skipped = place.run("schedule", "skip", "backup-take-full", "--reason", "twice")
        assert (skipped.code, told in skipped.out + skipped.err) == (code, True), skipped


def test_a_gate_wants_the_evidence_of_its_own_database_and_of_its_own_backup(
    home: Callable[..., Home], databases: Databases
) -> None:
    place = home(
        "### Before a migration\n\n"
        "- A backup: `tabsync backup take full --reason pre-migration`\n"
        "- It can be restored: `tabsync drill --backup latest`\n\n"
        "### Before each migration of data\n\n- Somebody looked\n\n"
        "### Before the migration of data\n\n- Somebody else looked\n"
    )
    for words in ("backup take full", "drill --backup latest", "backup take full --reason pre-migration"):
        assert place.run(*words.split()).code == 0
    gate = place.run("schedule", "gate", "migration")
    assert (gate.code, "that was of another backup" in gate.out) == (1, True), gate.out
    assert place.run("drill", "--backup", "latest").code == 0
    assert place.run("schedule", "gate", "migration").code == 0
    assert place.run("schedule", "gate", "each migration of data").code == 1
    several = place.run("schedule", "gate", "migration of data")
    assert (several.code, "several gates" in several.err) == (2, True)
    other = home("", name="other", conninfo=databases())
    text = (place.directory / "tabsync.toml").read_text()
    (place.directory / "tabsync.toml").write_text(text.replace(place.conninfo, other.conninfo))
    gate = place.run("schedule", "gate", "migration")
    assert (gate.code, gate.out.count("it is of another database")) == (1, 2), gate.out
    (place.directory / "tabsync.toml").write_text(text.replace(place.conninfo, "host=127.0.0.1 port=1"))
    gate = place.run("schedule", "gate", "migration")
    assert (gate.code, gate.out.count("it is not known whether")) == (1, 2), gate.out


def test_every_few_hours_the_evidence_has_to_fit_as_well(home: Callable[..., Home]) -> None:
    place = home("### Every 6 hours\n\n- Full: `tabsync backup take full`\n")
    place.at("2026-12-02 01:00")
    assert place.run("backup", "take", "schema").code == 0
    assert "started backup-take-full" in place.run("serve", "--once").err
    assert len(place.json("backup", "list")["backups"]) == 2


def test_what_failed_is_not_skipped_away_and_a_tick_from_the_future_opens_no_gate(home: Callable[..., Home]) -> None:
    place = home(
        "### Daily, 02:00-05:00 UTC\n\n- It: `tabsync backup verify nosuch`\n\n"
        "### Before a deployment\n\n- Ask the boss (within 1 hour)\n"
    )
    place.at("2026-12-02 02:30")
    assert place.run("serve", "--once").code == 1
    skipped = place.run("schedule", "skip", "backup-verify-nosuch", "--reason", "never mind")
    assert (skipped.code, "is failed: that is not undone" in skipped.err) == (4, True)
    place.at("2027-12-02 02:30")
    assert place.run("schedule", "done", "Ask the boss", "--note", "yes").code == 0
    assert place.run("schedule", "gate", "deployment").code == 0
    place.at("2026-12-02 02:40")
    assert place.run("schedule", "gate", "deployment").code == 1


def test_an_approval_of_a_deletion_is_bound_to_how_long_backups_are_kept(home: Callable[..., Home]) -> None:
    place = home(SCHEDULE)
    place.at("2026-12-02 01:00")
    assert place.run("schedule", "approve", "backup-prune-apply").code == 0
    place.at("2026-12-03 02:30")
    place.run("serve", "--once")
    assert last(place, "backup-prune-apply")["state"] == "done"
    manual = place.directory / "manual.md"
    manual.write_text(manual.read_text().replace("| 30 days |", "| 1 day |"))
    for day in ("2026-12-04", "2026-12-05"):
        place.at(f"{day} 02:30")
        place.run("serve", "--once")
        assert not place.rows(f"select 1 from occurrence where item like 'backup prune%' and due like '{day}%'")
    assert last(place, "backup-prune-apply")["state"] == "waits for approval"
