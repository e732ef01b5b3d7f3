"""Pauses under traffic. The whole: make soak PARTS=orders."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from tabsync.workspace import Workspace
from tests.postgres.orders.crowd import Crowd
from tests.whole import OLDEST, WHOLE

ROUNDS = 40 if WHOLE else 4


@pytest.mark.parametrize("major", OLDEST)
def test_pauses_under_traffic(shops: Callable[..., str], workspaces: Callable[..., Workspace], major: int) -> None:
    conninfo = shops(major)
    crowd = Crowd(conninfo, random.Random(11))
    assert crowd.rounds(workspaces(conninfo), ROUNDS) == []
    assert crowd.ended["let in"] > 0
    assert crowd.ended["TS001"] > 0
