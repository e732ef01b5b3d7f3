"""Procedures that a manual brings itself: what is read, and what is told about a wrong one."""

from __future__ import annotations

import pytest

from tabsync.manual.parse import parse

_WHOLE = """# A manual

## Procedures

### Close the shop

Nobody orders meanwhile.

```sql write
update shop set open = false where branch = <branch>
```

Undo:

```sql write
update shop set open = true where branch = <branch>
```
"""


def _of(text: str) -> tuple[list[str], list[str]]:
    """The procedures, and what is wrong with them; that other sections are missing is no matter."""
    manual, problems = parse(text)
    told = [one.described("m") for one in problems if "there is no section" not in one.what]
    return [one.title for one in manual.procedures], told


def test_a_procedure_has_two_blocks_and_its_lines() -> None:
    manual, _ = parse(_WHOLE)
    (one,) = manual.procedures
    assert (one.title, one.prose) == ("Close the shop", "Nobody orders meanwhile.")
    assert one.sql == "update shop set open = false where branch = <branch>"
    assert one.undo == "update shop set open = true where branch = <branch>"
    assert (one.line, one.sql_line, one.undo_line) == (5, 9, 15)
    assert not manual.runbooks


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("Undo:\n\n```sql write\nupdate shop set open = true where branch = <branch>\n```\n", "", "has no undo"),
        ("```sql write\nupdate shop set open = false where branch = <branch>\n```\n", "", "has no block"),
        ("Undo:\n", "", "a further block"),
    ],
)
def test_half_of_one_is_told(old: str, new: str, told: str) -> None:
    assert old in _WHOLE
    procedures, problems = _of(_WHOLE.replace(old, new))
    assert procedures == []
    assert any(told in one for one in problems), problems


def test_elsewhere_such_blocks_are_no_procedure() -> None:
    procedures, problems = _of(_WHOLE.replace("## Procedures", "## How we work"))
    assert (procedures, problems) == ([], [])
