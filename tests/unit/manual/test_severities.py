"""The table of severities, and the boxes that are facts."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from tabsync.manual.check import check
from tabsync.manual.model import Manual
from tabsync.manual.parse import parse
from tabsync.manual.sections import Problem

_GOOD = (Path(__file__).parent / "good.md").read_text(encoding="utf-8")
_TABLE = """
### Severities

| Severity | Told | Update every | Post-mortem |
|---|---|---|---|
"""


def parsed(*rows: str) -> tuple[Manual, list[Problem]]:
    return parse(_GOOD + _TABLE + "".join(f"{row}\n" for row in rows))


def problems(manual: Manual, found: list[Problem]) -> list[str]:
    return [one.what for one in check(manual, lambda _words: True, parsed=found).problems]


def test_a_severity_says_who_is_told_how_often_and_what_is_owed() -> None:
    role = parse(_GOOD)[0].contacts[0].role
    manual, found = parsed(f"| Critical | {role} | 30 minutes | yes |", "| minor | — | — | no |")
    assert problems(manual, found) == []
    critical, minor = manual.severities
    assert (critical.name, critical.told, critical.every) == ("critical", (role,), timedelta(minutes=30))
    assert (critical.post_mortem, minor.post_mortem) == (True, False)
    assert (minor.told, minor.every) == ((), None)
    assert manual.severity("CRITICAL") is critical
    assert manual.severity("awful") is None


def test_without_the_table_there_are_three() -> None:
    manual, _ = parse(_GOOD)
    assert [one.name for one in manual.known_severities()] == ["critical", "major", "minor"]


def test_what_is_wrong_with_it_is_told() -> None:
    rows = ("| critical | Nobody here | soon | perhaps |", "| critical | — | — | no |")
    told = problems(*parsed(*rows))
    assert "told: there is no contact 'Nobody here'" in told
    assert "'soon' is not a duration" in told
    assert "Post-mortem is 'perhaps'" in told
    assert "a second severity 'critical'" in told


def test_prose_under_that_heading_is_no_table() -> None:
    manual, found = parse(_GOOD + "\n### Severities\n\nThere are some.\n")
    assert (manual.severities, problems(manual, found)) == ((), [])


def test_a_box_that_is_a_fact_nobody_knows() -> None:
    manual, found = parse(
        _GOOD + "\n### Post-incident checklist\n\n- [ ] It rained (by: weather)\n- [ ] Known (by: cause)\n"
    )
    assert problems(manual, found) == ["(by: weather) is no fact that is known"]
