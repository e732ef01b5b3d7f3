"""Nights of the profile's manual in a row: the short form of `make soak PARTS=nights`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from tabsync.profiles.tabsync import PROFILE_MANUAL
from tests.postgres.providers.supabase import Api, serving
from tests.service.nights import BEGIN, Nights
from tests.service.place import Home
from tests.whole import WHOLE

NIGHTS = 3 if WHOLE else 2


@pytest.fixture
def api() -> Iterator[Api]:
    with serving() as one:
        yield one


def test_nights(tabsync_database: Callable[..., str], directory: Path, api: Api) -> None:
    """Each night has its proof, what has expired is deleted, and nothing is left behind."""
    place = Home(directory, tabsync_database())
    nights = Nights(place, api)
    text = PROFILE_MANUAL.read_text()
    nights.prepare(text.replace("| Daily | 90 days |", "| Daily | 2 days |").replace("| 30 days |", "| 1 day |"))
    nights.move(BEGIN)
    with place.service() as service:
        nights.begin(service)
        sizes = []
        for night in range(NIGHTS):
            start = BEGIN + timedelta(days=night)
            nights.live(service, start, start + timedelta(days=1))
            sizes.append(nights.size())
        assert service.ends() == 0
    nights.check_proofs(NIGHTS)
    nights.check_retention(full=timedelta(days=2), tables=timedelta(days=1))
    nights.check_sizes(sizes[1:])
