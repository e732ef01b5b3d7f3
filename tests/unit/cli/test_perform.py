"""A procedure whose step failed before there was anything to show: what stopped it is told, and no traceback."""

from __future__ import annotations

from typing import Any, cast

import pytest

from tabsync.cli.perform import carry_out
from tabsync.cli.terminal import Terminal
from tabsync.kernel.errors import FailedPartway
from tabsync.kernel.plan import Plan
from tabsync.kernel.procedure import Planned
from tabsync.kernel.request import Nothing
from tabsync.kernel.runner import Outcome
from tabsync.kernel.step import Context, Facts, Step, call
from tabsync.procedures import find
from tabsync.workspace import Workspace


def fill(context: Context[Any]) -> Facts:
    raise FailedPartway("the disk is full", "delete something")


PLAN = Plan("backup hold", "Hold", (Step("hold", "Hold", call(fill)),))


class Failing(Terminal):
    """A terminal on which each run fails at its first step."""

    def run(self, *_: object, **__: object) -> Outcome:
        return Outcome("run", error=FailedPartway("the disk is full", "delete something"), failed_step="hold")


@pytest.mark.parametrize(
    "words",
    ["backup hold", "backup release", "backup sign", "backup copy", "restore drop", "wal copy", "wal drop-slot"],
)
def test_what_stopped_it_is_told(words: str) -> None:
    procedure = find(words)
    assert procedure is not None
    with pytest.raises(FailedPartway, match="the disk is full"):
        carry_out(Failing(procedure), cast("Workspace", None), Nothing(), Planned(PLAN))
