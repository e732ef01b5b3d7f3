"""Killed by SIGKILL at any moment, while an application writes: it goes on, and no entry is lost or there twice.

Whole: `make soak PARTS=audit`.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

from tests.postgres.audit.killed import Site, installed_under_kills, sealed_under_kills
from tests.postgres.audit.killed_keeping import aged, archived_under_kills, emptied_under_kills, many_entries


def test_install_and_seal(tabsync_database: Callable[..., str], directory: Path) -> None:
    draw = random.Random(3)
    site = Site(tabsync_database(), directory)
    assert installed_under_kills(site, draw, kills=2) == []
    assert sealed_under_kills(site, draw, kills=2) == []
    assert site.notes


def test_a_large_log_is_partitioned_emptied_and_archived(tabsync_database: Callable[..., str], directory: Path) -> None:
    draw = random.Random(5)
    site = Site(tabsync_database(), directory)
    many_entries(site.conninfo, 10_000)
    assert installed_under_kills(site, draw, kills=1, longest=0.8) == []
    aged(site, draw, months=2, rows=500)
    assert emptied_under_kills(site, draw, kills=2, rows=5_500, longest=0.4) == []
    assert archived_under_kills(site, draw, kills=2, longest=0.4) == []
    assert site.notes
