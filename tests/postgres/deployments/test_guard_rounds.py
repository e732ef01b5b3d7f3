"""A deployment is killed at a moment, by kill -9: what is left is told, and nothing half-done counts as done.

A hundred kills in each phase: make soak PARTS=guard.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.place import fast_place
from tests.postgres.deployments.guard_rounds import GATED, Ground, Round, ground
from tests.whole import WHOLE

_SHORT = [("command", "guard"), ("command", "command"), ("command", "server"), ("verify", "guard")]
_LONG = [(phase, whom) for phase in GATED for whom in ("guard", "command", "server")]


@pytest.fixture(scope="module")
def there() -> Iterator[Ground]:
    with tempfile.TemporaryDirectory(prefix="tabsync-guard-", dir=fast_place()) as made:
        Path(made).chmod(0o755)
        with ground(Path(made)) as found:
            yield found


@pytest.mark.parametrize(("number", "at"), list(enumerate([*_SHORT, *(_LONG if WHOLE else [])])))
def test_killed(there: Ground, number: int, at: tuple[str, str]) -> None:
    Round(there, number, *at, seed=f"test/{number}").live()
    assert there.wrong == []
