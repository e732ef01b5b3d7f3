"""A runbook is killed while something else is broken, and gone on with: what was done is what is recorded.

Hundreds of kills at any moment, and all pairs of what may be broken: make soak PARTS="runbooks pairs".
"""

from __future__ import annotations

import itertools
import random
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.drills.runbook_rounds import Round
from tests.drills.runbook_site import Site, site
from tests.place import fast_place

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def ground() -> Iterator[Site]:
    with tempfile.TemporaryDirectory(prefix="tabsync-rounds-", dir=fast_place()) as made:
        Path(made).chmod(0o755)
        with site(Path(made), random.Random(3)) as found:
            yield found


@pytest.mark.parametrize(
    ("condition", "line", "count"),
    [
        ("ledger full", "before done of its own", 1),
        ("ledger read-only", "after running of its own", 2),
        ("no connection left", "after begin of its own", 1),
    ],
)
def test_killed_while_something_is_broken(ground: Site, condition: str, line: str, count: int) -> None:
    """In an act, before and after its record: the server and the ledger say the same in the end."""
    lived = Round(ground, next(_numbers), (condition,), 1, (line, count))
    lived.live()
    assert lived.kills == 0, "it was not killed"
    assert ground.wrong == []


def test_what_was_done_and_recorded_is_not_done_again(ground: Site) -> None:
    """Killed when it was recorded that the SQL has run, and nothing else was: a resume must not run it twice."""
    lived = Round(ground, next(_numbers), ("nothing else",), 1, ("after done of its own", 5))
    lived.live()
    assert lived.kills == 0
    assert ground.wrong == []
    assert [step for step, _ in lived._acts()] == [6, 8]
    shown = ground.command("run", "show", lived.runs[0], "--json").json["run"]["steps"]
    assert shown[5]["facts"]["note"] == "its process died after it was done"
