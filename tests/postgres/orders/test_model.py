"""Admission is what it should be, in whatever order things happen. The whole: make soak PARTS=orders."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack

import psycopg
import pytest

from tabsync.workspace import Workspace
from tests.postgres.orders.model import Model
from tests.whole import MAJORS, WHOLE

SEEDS = 20 if WHOLE else 2


@pytest.mark.parametrize("major", MAJORS)
def test_random_interleavings(shops: Callable[..., str], workspaces: Callable[..., Workspace], major: int) -> None:
    seen: Counter[str] = Counter()
    for seed in range(SEEDS):
        conninfo = shops(major)
        with ExitStack() as stack:
            clients = [stack.enter_context(psycopg.connect(conninfo)) for _ in range(4)]
            admin = stack.enter_context(psycopg.connect(conninfo, autocommit=True))
            model = Model(workspaces(conninfo), admin, clients, random.Random(f"{major}/{seed}"))
            assert model.play(100) == [], seed
            seen.update(model.seen)
    for what in ("drained", "not drained", "READ_COMMITTED let in", "READ_COMMITTED TS001", "REPEATABLE_READ let in"):
        assert seen[what] > 0, seen
