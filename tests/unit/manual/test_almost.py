"""An item of the Schedule that looks like more than it is understood as is a problem, and prose is none."""

from __future__ import annotations

import pytest

from tests.unit.manual.test_check_schedule import told


@pytest.mark.parametrize(
    ("item", "problem"),
    [
        ("Two: `tabsync health` and `tabsync drill`", "second command"),
        ("Health: tabsync health", "not written as one"),
        ("Health: `TABSYNC health`", "not written as one"),
        ("` tabsync health`", "not written as one"),
        ("`sudo tabsync health`", "not written as one"),
        ("`tabsync health` (At 02:30)", "'At' in brackets is not known"),
        ("`tabsync health` (whitin 2 hours)", "'whitin' in brackets is not known"),
        ("`tabsync health` (within 2 hours).", "only at the end"),
        ("`tabsync health` (within 2 hours) and more", "only at the end"),
        ("`tabsync health` [within 2 hours]", "only at the end"),
        ("Health (within 2 hours): `tabsync health`", "only at the end"),
        ("`tabsync drill --dry-run`", "does nothing"),
        ("`tabsync health --help`", "does nothing"),
        ("<!-- to do -->", "no text"),
        ("`tabsync backup take full --database postgresql://a:secret@db/shop`", "a secret stands in it"),
    ],
)
def test_it_is_told(item: str, problem: str) -> None:
    found = told(f"### Daily, 02:00-05:00\n\n- {item}")
    assert [what for _, what in found if problem in what], found
    assert "secret@" not in str([what for _, what in found if "postgresql" not in what])


@pytest.mark.parametrize(
    "item",
    [
        "Look at what tabsync says of the night",
        "Health (of the whole server): `tabsync health`",
        "`tabsync health` (the nightly one)",
        "`tabsync health` (within 1 hour, owner DBA)",
        "Ring the hoster (on the first working day)",
        "Restore a backup on staging (see the runbook)",
    ],
)
def test_prose_is_prose(item: str) -> None:
    assert told(f"### Daily, 02:00-05:00\n\n- {item}") == []
