"""What doesn't fit together between the Schedule, the Retention table and what this version can do."""

from __future__ import annotations

from pathlib import Path

import pytest

from tabsync.cli.usage import COMMANDS
from tabsync.demo.night import with_a_night
from tabsync.manual.check import check
from tabsync.manual.load import read
from tabsync.manual.parse import parse
from tabsync.procedures import is_built
from tabsync.profiles.tabsync import PROFILE_MANUAL
from tabsync.workspace import PLAIN_MANUAL

GOOD = Path(__file__).with_name("good.md").read_text(encoding="utf-8")
FULL = "| full | Everything | Weekly | 90 days | Local, Azure |\n"


def told(schedule: str, retention: str = "", text: str = GOOD) -> list[tuple[str, str]]:
    """The problems of a manual with another schedule and retention table: the line, and what is told of it."""
    head = text.partition("## Schedule\n")[0].replace(FULL, retention)
    whole = f"{head}## Schedule\n\n{schedule}\n\n## Document{text.partition('## Document')[2]}"
    manual, problems = parse(whole)
    lines = whole.splitlines()
    report = check(manual, is_built, parsed=problems, commands=COMMANDS)
    return [(lines[one.line - 1], one.what) for one in report.problems]


@pytest.mark.parametrize(
    ("first", "again"),
    [
        ("tabsync health", "tabsync health"),
        ("tabsync drill --backup latest --keep-warm", "tabsync drill --keep-warm --backup=latest"),
        ("tabsync backup take full", "tabsync backup take --reason manual full"),  # the default, spelled out
        ("tabsync audit access", "tabsync audit access"),  # not built
    ],
)
@pytest.mark.parametrize("heading", ["Weekly", "Daily, 09:00", "Every 10 minutes"])
def test_the_same_command_twice(first: str, again: str, heading: str) -> None:
    found = told(f"### Daily, 02:00\n\n- Once: `{first}`\n\n### {heading}\n\n- Again: `{again}`")
    ((line, what),) = found
    assert line == f"- Again: `{again}`"
    assert "is already in the schedule, on line" in what


def test_twice_in_one_heading_and_the_line_of_the_first() -> None:
    ((_, what),) = told("### Daily\n\n- Once: `tabsync health`\n- Again: `tabsync health` (at 05:00)")
    first = 1 + GOOD.replace(FULL, "").splitlines().index("## Schedule") + 4
    assert what == f"`tabsync health` is already in the schedule, on line {first}"


def test_a_task_is_known_by_its_text() -> None:
    ((line, what),) = told("### Daily\n\n- Read the log\n\n### Monthly\n\n- Read the log (owner DBA)")
    assert (line, "the task 'Read the log' is already" in what) == ("- Read the log (owner DBA)", True)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (
            "### Daily\n\n- One: `tabsync backup take full`",
            "### Monthly\n\n- Two: `tabsync backup take full --reason x`",
        ),
        ("### Daily\n\n- One: `tabsync drill --backup latest`", "### Monthly\n\n- Two: `tabsync drill monthly`"),
        ("### Daily\n\n- One: `tabsync health`", "### Before a deployment\n\n- Two: `tabsync health`"),
        ("### Before a change\n\n- One: `tabsync health`", "### Before a deployment\n\n- Two: `tabsync health`"),
    ],
)
def test_what_only_looks_the_same(first: str, second: str) -> None:
    assert told(f"{first}\n\n{second}") == []


def test_the_same_twice_before_one_occasion() -> None:
    found = told("### Before a change\n\n- One: `tabsync health`\n- Two: `tabsync health`")
    assert [line for line, _ in found] == ["- Two: `tabsync health`"]


@pytest.mark.parametrize(
    ("row", "heading", "command"),
    [
        ("| full | All | Daily | 9 days | Local |", "Daily", "backup take full"),
        ("| full | All | Daily, 02:00 | 9 days | Local |", "Every 6 hours", "drill"),
        ("| FULL | All | weekly | 9 days | Supabase, Local |", "Daily", "drill --keep-warm"),
        ("| critical-tables | Some | Daily | 9 days | Azure Blob Storage |", "Hourly", "backup take tables users"),
        ("| monthly | All | Monthly | 1 year | Local |", "Monthly, day 3", "backup take full --reason monthly"),
        ("| drill | All | Monthly | 1 year | Local |", "Monthly, day 3", "drill"),
        ("| pitr | WAL | Weekly | 14 days | Local |", "Weekly", "backup take physical"),
        ("| pitr | WAL | Weekly | 14 days | Local |", "Continuously", "wal receive"),
        ("| schema | Definitions | Every 2 hours | 14 days | Local |", "Every 30 minutes", "backup take schema"),
    ],
)
def test_a_class_that_an_item_takes(row: str, heading: str, command: str) -> None:
    assert told(f"### {heading}\n\n- It: `tabsync {command}`", f"{row}\n") == []
    ((line, what),) = told("### Daily\n\n- Read the log", f"{row}\n")
    assert line == row
    assert "no item of the schedule takes the class" in what


@pytest.mark.parametrize(
    ("heading", "command"),
    [
        ("Daily", "drill --backup latest"),  # it proves one, and takes none
        ("Daily", "drill monthly"),
        ("Daily", "backup take tables users"),
        ("Daily", "backup take full --reason pre-migration"),  # that is of another class
        ("Daily", "wal receive"),
        ("Before a deployment", "backup take full"),
    ],
)
def test_what_does_not_take_a_class(heading: str, command: str) -> None:
    retention = "| full | All | Daily | 9 days | Local |\n| pre-migration | All | Seldom | 1 year | Local |\n"
    found = told(f"### {heading}\n\n- It: `tabsync {command}`", retention)
    assert [what for _, what in found] == ["no item of the schedule takes the class 'full', whose frequency is 'Daily'"]


def test_a_class_that_is_taken_too_seldom() -> None:
    schedule = "### Weekly\n\n- It: `tabsync backup take full`\n\n### Monthly\n\n- Also: `tabsync drill`"
    ((line, what),) = told(schedule, "| full | All | Daily | 9 days | Local |\n")
    assert line.startswith("| full ")
    assert what == "the class 'full' has the frequency 'Daily', but is taken weekly only"


@pytest.mark.parametrize(
    "row",
    [
        "| snapshots | All | Daily | 9 days | Supabase |",  # who takes it is the provider
        "| pitr | WAL | Continuous | 9 days | Local |",
        "| pitr | WAL | Weekly, and continuous | 9 days | Local |",
        "| full | All | When it is needed | 9 days | Local |",
        "| pre-migration | All | Before each migration | 9 days | Local |",
    ],
)
def test_a_class_that_no_clock_is_for(row: str) -> None:
    assert told("### Daily\n\n- Read the log", f"{row}\n") == []


@pytest.mark.parametrize(
    "command",
    ["serve", "scheduler run", "demo", "operator add ana", "key identity x", "backup query latest 'select 1'"]
    + ["restore in-place --yes", "backup hold latest --reason x"],
)
def test_what_no_schedule_can_start(command: str) -> None:
    ((line, what),) = told(f"### Daily\n\n- It: `tabsync {command}`")
    assert line == f"- It: `tabsync {command}`"
    assert "can't be started by the schedule: only a person starts" in what


@pytest.mark.parametrize(
    "command",
    ["health", "status", "run list", "backup verify all", "backup prune --apply", "audit access", "wal receive"],
)
def test_what_a_schedule_can_start(command: str) -> None:
    assert told(f"### Daily\n\n- It: `tabsync {command}`") == []


@pytest.mark.parametrize("path", [PROFILE_MANUAL, PLAIN_MANUAL], ids=["profile", "plain"])
def test_the_manuals_that_ship_fit_together(path: Path) -> None:
    manual, problems = read(path)
    report = check(manual, is_built, parsed=problems, commands=COMMANDS, exists=lambda _target: False)
    assert [problem.described(path.name) for problem in report.problems] == []


def test_the_demo_s_manual_fits_together() -> None:
    manual, problems = parse(with_a_night(PROFILE_MANUAL.read_text(encoding="utf-8")))
    assert check(manual, is_built, parsed=problems, commands=COMMANDS).problems == ()


@pytest.mark.parametrize(
    ("text", "dead", "inside"),
    [
        ("See [practices](docs/PRACTICES.md).", "docs/PRACTICES.md", "See [practices]"),
        ("A long paragraph,\nand [there](a%20b.md#part)", "a b.md", "and [there]"),
        ("- one\n- [two](two.md?x=1)", "two.md", "- [two]"),
        ("| A |\n|---|\n| x |\n| [y](y.md) |", "y.md", "| [y]"),
        ("![a picture](p.png)", "p.png", "![a picture]"),
        ("[by name][n]\n\n[n]: named.md", "named.md", "[by name]"),
        ("> - [quoted](../q.md)", "../q.md", "> - [quoted]"),
    ],
)
def test_a_link_that_leads_nowhere(text: str, dead: str, inside: str) -> None:
    whole = GOOD.replace("Free prose", f"Not written yet, but of something else.\n\n{text}\n\nFree prose")
    manual, problems = parse(whole)
    assert check(manual, is_built, parsed=problems, exists=lambda target: target == dead).problems == ()
    (problem,) = check(manual, is_built, parsed=problems, exists=lambda _target: False).problems
    assert problem.what == f"the link {dead} leads to no file"
    assert whole.splitlines()[problem.line - 1].startswith(inside)
    assert check(manual, is_built, parsed=problems).problems == ()


@pytest.mark.parametrize(
    "text",
    [
        "See [practices](docs/PRACTICES.md), not written yet.",
        "- [practices](docs/PRACTICES.md) (Not written\n  yet)",
        "[a](https://example.com/x.md) [b](mailto:a@example.com) [c](#targets) <https://example.com> [d](//host/x)",
        "[from the root of a site](/x.md) [nothing]() `[code](x.md)` \\[text](x.md)",
        "```\n[a block](x.md)\n```",
    ],
)
def test_a_link_that_is_none_of_ours_or_said_to_lead_nowhere(text: str) -> None:
    manual, problems = parse(GOOD.replace("Free prose", f"{text}\n\nFree prose"))
    assert check(manual, is_built, parsed=problems, exists=lambda _target: False).problems == ()
