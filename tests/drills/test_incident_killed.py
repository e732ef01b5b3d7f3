"""An incident is killed in each transition, and our runbooks in their steps: it shows what was done, and goes on.

Many rounds at any moment, with the ledger's disk full besides, and all runbooks: make soak PARTS=incidents
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tabsync.profiles.tabsync import PROFILE_MANUAL
from tabsync.workspace import PLAIN_MANUAL
from tests.drills import manual_rounds
from tests.drills.incident_rounds import WORDS, Incidents, place
from tests.killed_at import Moment


@pytest.fixture
def incidents(directory: Path) -> Iterator[Incidents]:
    with place(directory, random.Random(7)) as found:
        yield found


def test_in_each_transition(incidents: Incidents) -> None:
    """Just before or just after it was written down, while the ledger's disk is full for the first of them."""

    def aim(number: int) -> Moment:
        line = "after running of its own" if number % 2 else "before done of its own"
        return Moment(str(incidents.log), 1, line, patience=1)

    incidents.live(("ledger full",), aim)
    assert incidents.wrong == []
    assert incidents.seen["kills"] == len(WORDS)
    assert incidents.seen["done before it was killed"] == len(WORDS[::2])


def test_of_two_people_at_once(incidents: Incidents) -> None:
    incidents.by_two(2)
    assert incidents.wrong == []
    assert incidents.seen["kills"]


@pytest.mark.parametrize(
    ("manual", "title", "line", "count"),
    [
        (PLAIN_MANUAL, "Data corruption or deletion", "after begin", 1),  # the run is there, and no incident yet
        (PLAIN_MANUAL, "Data corruption or deletion", "before done of its own", 2),
        (PROFILE_MANUAL, "Audit log incomplete", "after running", 1),
    ],
)
def test_in_the_steps_of_our_runbooks(
    audited_database: Callable[[], str], directory: Path, manual: Path, title: str, line: str, count: int
) -> None:
    ground = manual_rounds.place(directory, manual, audited_database(), random.Random(3))
    ground.live(title, kills=1, aimed=(line, count))
    assert ground.wrong == []
    assert ground.seen["kills"] == 1
    assert ground.killed or line == "after begin"
