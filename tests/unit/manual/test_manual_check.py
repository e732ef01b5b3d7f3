"""All that is wrong with a manual is told at once, each with its line."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tabsync.manual.check import Report, check
from tabsync.manual.declare import to_declare
from tabsync.manual.load import read
from tabsync.manual.parse import parse
from tabsync.profiles.tabsync import PROFILE_MANUAL

GOOD = Path(__file__).with_name("good.md").read_text(encoding="utf-8")
MISTAKES: list[tuple[str, str, str]] = [
    # what stands in a good manual, what somebody wrote instead, what is told about its line
    ("| full | Everything | Weekly | 90 days |", "| full | Everything | Weekly | 90 dyas |", "is not a duration"),
    ("- RPO: under 15 minutes", "- RPO: soon", ""),
    ("| Sell | ✅ | yes | ❌ | no |", "| Sell | ✅ | maybe | ❌ | no |", "'maybe'"),
    ("Unit: count of sessions", "Unit: furlongs", "unknown unit"),
    ("| Sessions | > 80 | > 95 |", "| Sesions | > 80 | > 95 |", "unknown metric 'Sesions'"),
    ("| Size | > 80 % | — |", "| Size | > 80 % | > 70 % |", "not below critical"),
    ("   kitchen close", "   kitchen close | grep x", "can't be read"),
    ("   select 1", "   delete from t", "is not a read-only statement"),
    ("| DBA | dba@example.com | 24/7 |", "| DBA | somebody | 24/7 |", "has no address"),
    ("### Daily", "### Fortnightly", "unknown frequency"),
    ("- Look at it: `tabsync health`", "- Look at it: `tabsync health 'x`", "can't be read"),
]


def built(*commands: str) -> Callable[[Sequence[str]], bool]:
    return lambda words: " ".join(words) in commands


def checked(text: str, *commands: str) -> Report:
    manual, problems = parse(text)
    return check(manual, built(*commands), parsed=problems)


def line_of(text: str, part: str) -> int:
    return next(number for number, line in enumerate(text.splitlines(), start=1) if part in line)


def test_a_good_manual_has_no_problems() -> None:
    report = checked(GOOD, "health", "backup take full")
    assert report.problems == ()
    assert report.procedures == 3
    assert [command.text for command in report.not_built] == ["kitchen close"]


def test_every_mistake_is_told_at_once_with_its_line() -> None:
    text = GOOD
    for right, wrong, _ in MISTAKES:
        assert text.count(right) == 1, right
        text = text.replace(right, wrong)
    told = {(problem.line, problem.what) for problem in checked(text).problems}
    for _, wrong, words in MISTAKES:
        # A target that can't be read is missing: that is told at the section.
        line = line_of(text, "## Targets") if "RPO" in wrong else line_of(text, wrong)
        line -= wrong == "   delete from t"  # a block is named by the line of its fence
        assert any(at == line and words in what for at, what in told), (line, wrong, told)
    assert len(told) == len(MISTAKES)


@pytest.mark.parametrize(
    ("right", "wrong", "words"),
    [
        ("## Targets", "## Tragets", "no section 'Targets'"),
        ("| Sell | ✅", "| Sell |", "'Sell' for OWNER is ''"),
        ("| Feature | OWNER | CLERK |", "| Feature | OWNER | CLARK |", "the role 'CLARK' is not in the hierarchy"),
        ("| Feature | OWNER | CLERK |", "| Feature | OWNER | CLARK |", "the role 'CLERK' has no column"),
        ("| Class | What |", "| Kind | What |", "lacks the column Class"),
        ("### Size", "### sessions", "the metric 'sessions' is already on line"),
        (
            "## Contacts",
            "### too many Sessions\n\n1. Again\n\n## Contacts",
            "the runbook 'too many Sessions' is already",
        ),
        ("## Contacts", "### Nothing to do\n\nReally.\n\n## Contacts", "'Nothing to do' has no steps"),
        ("| Look | Too many sessions |", "| Look | Too few sessions |", "there is no runbook 'Too few sessions'"),
        ("| Sessions | > 80 | > 95 |", "| Sessions | > 80 s | > 95 s |", "is not in the unit of 'Sessions'"),
        ("| Sessions | > 80 | > 95 |", "| Sessions | many | > 95 |", "'many' is not a bound"),
        ("| Sessions | > 80 | > 95 |", "| Sessions | — | — |", "has no bound"),
        ("   select 1", "   selec 1", "SELEC is not a read-only statement"),
        ("   select 1", "   select (1", "can't be parsed"),
        ("   select 1", "   select pg_terminate_backend(1)", "pg_terminate_backend has side effects"),
        ("   update t set a = 1", "   update set where", "can't be parsed"),
        ("   ```sql write", "   ```sql writes", "marked 'sql writes'"),
        ("   kitchen close", "", "an empty tabsync block"),
        ("## Document", "```\nnever closed\n\n## Document", "never closed"),
        ("├── CLERK ", "├── OWNER ", "the role OWNER is listed twice"),
        ("- `orders`: what was sold", "- orders: what was sold", "names no table"),
        ("Of: 8 GB", "Of: much", "Of:"),
        ("Of: 8 GB", "Of: disks", "Of:"),
        ("Unit: count of sessions", "Unit: count of sessions\nOf: disk", "'Of: disk' is a size"),
        ("No rows: ok", "No rows: fine", "is unknown"),
        ("Every: 15 s", "Every: now and then", "is not a duration"),
        ("- Last updated: 2026-01-02", "- Last updated: soon", "last updated is 'soon'"),
        ("## Key tables", "## Retention\n\n## Key tables", "a second section 'Retention'"),
        ("Unit: count of sessions\n", "", "has no unit"),
    ],
)
def test_each_kind_of_mistake(right: str, wrong: str, words: str) -> None:
    assert right in GOOD
    report = checked(GOOD.replace(right, wrong, 1))
    assert any(words in problem.what for problem in report.problems), report.problems
    assert all(problem.expected for problem in report.problems)


def test_wrong_usage_of_a_built_command_is_told_at_its_line() -> None:
    manual, problems = parse(GOOD)
    report = check(manual, built("health"), parsed=problems, wrong_usage=lambda words: "No such option: --x")
    (problem,) = report.problems
    assert problem.line == line_of(GOOD, "tabsync health")
    assert "No such option: --x" in problem.what


def test_the_profile_s_manual_has_no_problems() -> None:
    manual, problems = read(Path(PROFILE_MANUAL))
    report = check(manual, built(), parsed=problems)
    assert [problem.described("manual.md") for problem in report.problems] == []


def test_the_profile_s_manual_carries_the_policy_of_the_first_one() -> None:
    manual, _ = read(Path(PROFILE_MANUAL))
    assert manual.targets is not None
    assert (manual.targets.rto.value.total_seconds(), manual.targets.rpo.value.total_seconds()) == (3600, 900)
    assert [(one.name, one.retention.days) for one in manual.retention] == [
        ("pitr", 7),
        ("full", 90),
        ("pre-migration", 365),
        ("critical-tables", 30),
        ("ledger", 365),
    ]
    assert [table.name for table in manual.key_tables] == ["users", "orders", "payments"]
    granted = {role: sum(row.allowed[role] for row in manual.permissions.features) for role in manual.permissions.roles}
    assert granted == {
        "SUPER_ADMIN": 10,
        "CONSULTANT": 3,
        "RESTAURANT_OWNER": 8,
        "WAITER": 4,
        "KITCHEN": 3,
        "CUSTOMER": 1,
    }
    assert not manual.hierarchy.above("CONSULTANT", "RESTAURANT_OWNER")
    assert not manual.hierarchy.above("RESTAURANT_OWNER", "CONSULTANT")
    assert len(manual.contacts) == 4
    assert {one.title: len(one.items) for one in manual.checklists} == {
        "Pre-migration checklist": 6,
        "Post-incident checklist": 7,
    }
    frequencies = [item.frequency for item in manual.schedule]
    assert [frequencies.count(one) for one in ("daily", "weekly", "monthly", "quarterly")] == [11, 6, 7, 4]
    gates = [item.frequency for item in manual.schedule if item.when and item.when.kind == "before"]
    assert sorted(set(gates)) == ["before a production deployment", "before each migration"]
    assert {item.when.zone for item in manual.schedule if item.when and item.when.kind == "clock"} == {
        "America/Sao_Paulo"
    }
    owners = {item.terms.owner for item in manual.schedule} - {""}
    assert owners <= {contact.role for contact in manual.contacts}
    emergencies = [runbook for runbook in manual.runbooks if runbook.chapter == "Emergencies"]
    assert [len(runbook.steps) for runbook in emergencies] == [5, 7, 5, 6, 10]


def test_of_disk_is_asked_for_and_declares_nothing() -> None:
    manual, problems = parse(GOOD.replace("Of: 8 GB", "Of: Disk"))
    size = manual.metric("Size")
    assert size is not None and (size.of, size.of_source, problems) == (None, "disk", [])


def test_what_is_to_be_declared_is_a_list_and_no_problem() -> None:
    for of, told in (("Of: 8 GB", 0), ("Of: disk", 0), ("Of: not declared", 1)):
        manual, problems = parse(GOOD.replace("Of: 8 GB", of))
        assert (len(to_declare(manual)), problems) == (told, [])
    assert to_declare(manual)[0].startswith(f"line {line_of(GOOD, 'Of: 8 GB')}: Size has a bound in percent")
    manual, _ = parse(GOOD.replace("Of: 8 GB", "Of: not declared").replace("| Size | > 80 % |", "| Size | > 8 GB |"))
    assert to_declare(manual) == []
