"""The game day "payments", unattended: from the first failed payment to a post-mortem for who wasn't there."""

from __future__ import annotations

from pathlib import Path

from tabsync.profiles.tabsync.gameday.till import CARD
from tests.postgres.cli.program import tabsync


def test_stripe_fails_and_all_is_as_it_was(directory: Path) -> None:
    done = tabsync(directory, "gameday", "run", "payments", "--json", timeout=500, TABSYNC_PROFILE="tabsync")
    assert done.code == 0, done.out[-3000:] + done.err[-1000:]
    (played,) = done.json["parts"]
    assert played["worse"] == ["stripe"]
    assert [one["state"] for one in played["steps"]] == ["done"] * 7
    told = played["report"].split("## What happened")[1].split("## So that")[0]
    moments = (": Failed payments", "was told by mail", "opened:", "step 1,", "PAUSED", "ORDERS COME IN", "MITIGATED")
    places = [told.index(one) for one in moments]
    assert places == sorted(places), told
    assert "api\\_error" in told
    assert CARD not in done.out + done.err
