"""Killed by SIGKILL at any moment, while an application writes: it goes on, and no entry is lost or there twice.

Whole: `make soak PARTS=audit`.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

from tests.postgres.audit.killed import Site, installed_under_kills, sealed_under_kills


def test_install_and_seal(tabsync_database: Callable[..., str], directory: Path) -> None:
    draw = random.Random(3)
    site = Site(tabsync_database(), directory)
    assert installed_under_kills(site, draw, kills=2) == []
    assert sealed_under_kills(site, draw, kills=2) == []
    assert site.notes
