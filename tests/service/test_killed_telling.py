"""kill -9 of collector and notifier while alerts fire and end: every message comes, and twice only with the same id."""

from __future__ import annotations

import statistics
from pathlib import Path

import pytest

from tests.conftest import Databases
from tests.service.telling import APART, SERVED, telling
from tests.service.told import Mailbox

KILLS = 10
SEED = 11


@pytest.mark.parametrize("parts", [APART, SERVED], ids=["apart", "served"])
def test_no_message_is_lost(
    databases: Databases, directory: Path, mailbox: tuple[Mailbox, int], parts: dict[str, list[str]]
) -> None:
    box, port = mailbox
    with telling(directory, databases(), box, port, SEED, parts) as place:
        place.live(KILLS)
        place.settle()
        found = place.count()
    gaps = [f"{gap:.1f}" for gap in found.twice.values()]
    print(
        f"seed {SEED}: {len(place.kills)} kills, {found.episodes} alerts, {found.messages} messages,"
        f" {len(found.lost)} lost, {len(found.twice)} twice (ms from the 250 to the kill: {', '.join(gaps) or '-'});"
        f" ms from the 250 to our commit: median {statistics.median(found.commit):.1f}, worst {max(found.commit):.1f}"
    )
    assert found.episodes and found.messages >= 2 * found.episodes
    assert (found.lost, found.strange) == ([], [])
