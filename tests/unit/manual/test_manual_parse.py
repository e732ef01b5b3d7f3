"""From Markdown to policy: every kind of section, its lines, and all mistakes at once."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabsync.manual.model import Hierarchy, Manual, Role, Runbook, StepKind
from tabsync.manual.parse import parse
from tabsync.manual.sections import Problem
from tabsync.manual.steps import parse_command

GOOD = Path(__file__).with_name("good.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def manual() -> Manual:
    found, problems = parse(GOOD)
    assert problems == []
    return found


def line_with(text: str) -> int:
    return next(number for number, line in enumerate(GOOD.splitlines(), start=1) if text in line)


def test_title_and_digest(manual: Manual) -> None:
    assert manual.title == "A shop's manual"
    assert len(manual.digest) == 64


def test_targets(manual: Manual) -> None:
    assert manual.targets is not None
    assert manual.targets.rto.value == timedelta(hours=1)
    assert manual.targets.rto.note == "by drill"
    assert manual.targets.rpo.value == timedelta(minutes=15)
    assert manual.targets.rpo.line == line_with("- RPO")


def test_retention(manual: Manual) -> None:
    (row,) = manual.retention
    assert (row.name, row.what, row.frequency, row.retention) == ("full", "Everything", "Weekly", timedelta(days=90))
    assert row.stores == ("Local", "Azure")
    assert row.line == line_with("| full |")


def test_hierarchy_is_a_partial_order(manual: Manual) -> None:
    above = manual.hierarchy.above
    assert above("OWNER", "INTERN")
    assert above("CLERK", "INTERN")
    assert not above("CLERK", "GUEST")
    assert not above("GUEST", "CLERK")
    assert not above("OWNER", "OWNER")
    assert not above("nobody", "CLERK")
    assert not above("OWNER", "nobody")
    assert manual.hierarchy.roles[0].note == "of the shop"
    assert manual.hierarchy.roles[2].line == line_with("INTERN")


def test_a_nested_list_is_the_same_hierarchy(manual: Manual) -> None:
    nested, _ = parse("# M\n\n## Role hierarchy\n\n- OWNER\n  - CLERK # sells\n    - INTERN\n  - GUEST\n")
    assert [(role.name, role.parent) for role in nested.hierarchy.roles] == [
        (role.name, role.parent) for role in manual.hierarchy.roles
    ]


@given(st.lists(st.integers(0, 100), min_size=1, max_size=12))
def test_above_is_a_strict_order(choices: list[int]) -> None:
    names = [f"R{number}" for number in range(len(choices) + 1)]
    roles = [Role(name=names[0], parent=None, note="", line=1)]
    for number, choice in enumerate(choices, start=1):
        roles.append(Role(name=names[number], parent=names[choice % number], note="", line=1))
    above = Hierarchy(roles=tuple(roles)).above
    for a in names:
        assert not above(a, a)
        assert a == names[0] or above(names[0], a)
        for b in names:
            assert not (above(a, b) and above(b, a))
            for c in names:
                assert above(a, c) or not (above(a, b) and above(b, c))


def test_permissions(manual: Manual) -> None:
    assert [manual.permissions.allows("Sell", role) for role in manual.permissions.roles] == [True, True, False, False]
    with pytest.raises(KeyError):
        manual.permissions.allows("Fly", "OWNER")


def test_key_tables(manual: Manual) -> None:
    assert [(one.name, one.note) for one in manual.key_tables] == [("orders", "what was sold"), ("app.users", "")]


def test_metrics(manual: Manual) -> None:
    sessions, size = manual.metrics
    assert sessions.unit.noun == "sessions"
    assert sessions.every == timedelta(seconds=15)
    assert sessions.prose == "Those that work."
    assert sessions.line == line_with("### Sessions")
    assert sessions.sql_line == line_with("select count(*) as value")
    assert not sessions.no_rows_ok
    assert size.of == 8 * 1024**3
    assert size.no_rows_ok


def test_thresholds(manual: Manual) -> None:
    sessions, size = manual.thresholds
    assert sessions.for_ == timedelta(minutes=5)
    assert sessions.runbook == "Too many sessions"
    assert size.critical is None
    assert size.runbook == ""
    assert manual.thresholds_of("SIZE") == (size,)


def test_runbook_steps(manual: Manual) -> None:
    (runbook,) = manual.runbooks
    assert runbook.symptoms == ("too many clients",)
    assert runbook.prose == "Some prose."
    assert runbook.chapter == "Runbooks"
    assert [step.kind for step in runbook.steps] == [
        StepKind.COMMAND,
        StepKind.SQL,
        StepKind.SQL_WRITE,
        StepKind.SHELL,
        StepKind.HUMAN,
    ]
    first, *_, last = runbook.steps
    assert first.text == "Look closely.\nBy hand: psql."
    assert first.commands[0].words == ("kitchen", "close")
    assert first.commands[0].line == line_with("kitchen close")
    assert last.text == "Tell the people\n- on the phone\n- by mail"
    assert last.line == line_with("5. Tell")


def test_contacts_checklists_schedule_document(manual: Manual) -> None:
    assert manual.contacts[0].address == "dba@example.com"
    (boxes,) = manual.checklists
    assert (boxes.title, [item.text for item in boxes.items]) == ("After it", ["Write it down", "Sleep"])
    health, log, _backup = manual.schedule
    assert health.command is not None
    assert (health.frequency, health.command.words) == ("daily", ("health",))
    assert log.command is None
    assert (manual.document.version, manual.document.next_review) == ("3.1", date(2026, 4, 2))


def test_headings_are_recognised_in_any_case_and_with_numbers(manual: Manual) -> None:
    found, problems = parse(GOOD.replace("## Thresholds", "## 4.2 ALERT thresholds"))
    assert problems == []
    assert len(found.thresholds) == 2


def test_a_metric_a_threshold_and_a_step_are_added_by_writing_them(manual: Manual) -> None:
    metric = "### Cars\n\nUnit: count of cars\n\n```sql\nselect 1 as value\n```\n\n## Thresholds"
    text = GOOD.replace("## Thresholds", metric)
    text = text.replace("| Size | > 80 %", "| Cars | > 3 | > 5 | — | Park | — |\n| Size | > 80 %")
    text = text.replace(
        "5. Tell the people", "5. Count cars.\n   ```tabsync\n   cars count\n   ```\n6. Tell the people"
    )
    found, problems = parse(text)
    assert problems == []
    assert found.metric("cars") is not None
    assert found.thresholds_of("Cars")[0].action == "Park"
    assert ("cars", "count") in [command.words for command in found.commands()]


@pytest.mark.parametrize("text", ["", "no heading at all", "# Only a title\n", "```\nnever closed", "\n\n1. a\n"])
def test_anything_can_be_read(text: str) -> None:
    _, problems = parse(text)
    assert {problem.what for problem in problems} >= {"there is no section 'Targets'"}


@given(st.text(max_size=300))
def test_no_text_breaks_the_parser(text: str) -> None:
    found, problems = parse(text)
    assert isinstance(found, Manual)
    assert all(problem.line >= 1 for problem in problems)


LINES = st.sampled_from(GOOD.splitlines())


@given(st.lists(LINES, max_size=40))
def test_no_jumble_of_lines_breaks_the_parser(lines: list[str]) -> None:
    _, problems = parse("\n".join(lines))
    assert all(problem.line >= 1 and problem.what for problem in problems)


@pytest.mark.parametrize(
    "text", ["a | b", "a > b", "a >b", "a && b", "a; b ; c", "a 'b", "tabsync", "a $(b)", "a 2>&1", "a < b"]
)
def test_what_needs_a_shell_is_no_command(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        parse_command(text, 1)


def test_a_command_keeps_its_words_and_placeholders() -> None:
    command = parse_command('tabsync restore rows --where "id > 3" <table> # a remark', 7)
    assert command.words == ("restore", "rows", "--where", "id > 3", "<table>")
    assert command.text == "restore rows --where 'id > 3' <table>"
    assert command.line == 7


def test_a_problem_is_told_in_one_line() -> None:
    assert Problem(3, "this is wrong", "that").described("m.md") == "m.md:3: this is wrong, expected that"
    assert Problem(3, "this is wrong").described("m.md") == "m.md:3: this is wrong"


def test_other_ends_of_lines_than_markdowns_do_not_shift_the_fences() -> None:
    text = Path(__file__).with_name("good.md").read_text().replace("\n\n", "\n\na\u2028b\x0bc\x0cd\n\n", 1)
    assert [problem for problem in parse(text)[1] if "never closed" in problem.what] == []


def test_a_metric_that_tabsync_itself_knows_names_its_source_instead_of_a_query() -> None:
    text = "# M\n\n## Metrics\n\n### Recoverable to\n\nUnit: seconds\nSource: recoverable to\n\nHow old it is.\n"
    (metric,), problems = parse(text)[0].metrics, parse(text)[1]
    assert (metric.source, metric.sql, metric.unit.kind, metric.prose) == (
        "recoverable to",
        "",
        "seconds",
        "How old it is.",
    )
    assert [one.what for one in problems if one.line > 1] == []


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ("Source: the weather", "'Source: the weather' is unknown"),
        ("Source: recoverable to\n\n```sql\nselect 1 as value\n```", "a metric with a query has no 'Source:'"),
    ],
)
def test_a_source_that_there_is_not_is_a_problem(lines: str, told: str) -> None:
    _, problems = parse(f"# M\n\n## Metrics\n\n### X\n\nUnit: seconds\n{lines}\n")
    assert [(one.line, one.what) for one in problems if one.line > 1] == [(8, told)]


def _runbook(text: str) -> tuple[Runbook | None, list[str]]:
    manual, problems = parse(f"# Manual\n\n## Runbooks\n\n### It is slow\n\n{text}\n\n1. Look.\n")
    return manual.runbook("It is slow"), [one.what for one in problems if one.line > 4]


def test_symptoms_and_recoveries_are_lines_of_their_own() -> None:
    """Also within one paragraph; a line that begins with no word of ours goes on with what was before it."""
    text = (
        "Symptoms: `too slow` (P1),\nor `still too slow`\nSymptom: no answer\nRecovers: Load < 80 % for 1 min\n\nWait."
    )
    found, problems = _runbook(text)
    assert found is not None
    assert not problems
    assert found.symptoms == ("too slow (P1), or still too slow", "no answer")
    assert found.quoted == ("too slow", "still too slow")
    assert found.prose == "Wait."
    (one,) = found.recovers
    assert (one.metric, one.bound.text, one.lasting.seconds, one.within.seconds) == ("Load", "< 80 %", 60, 180)
    assert one.line == 10


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("Recovers: soon", "'soon' is not understood"),
        ("Recovers: Load < 80 % for ever", "'ever'"),
        ("Recovers: Load < quickly", "not a bound"),
        ("Recovers: Load < 80 % for 2 min within 1 min", "can't be seen to hold"),
    ],
)
def test_a_recovery_that_is_not_understood_is_a_problem(text: str, what: str) -> None:
    """Not prose: the runbook would never be said to have worked."""
    found, problems = _runbook(text)
    assert found is not None
    assert not found.recovers
    assert any(what in one for one in problems), problems
