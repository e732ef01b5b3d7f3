"""Runbooks, killed hundreds of times while the ledger or the server is broken: what was done is what is recorded."""

from __future__ import annotations

import os
import random
import tempfile
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

from tests.drills.runbook_rounds import Round
from tests.drills.runbook_site import CONDITIONS, UNSERVED, Site, site
from tests.place import fast_place

from soak.part import Figures, Part, Say

KILLS = 240
AT_ONCE = 2
_KINDS = ("between plan and act", "in the act", "between act and record", "elsewhere")


def run(part: Part, say: Say) -> None:
    """Each condition with its share of the kills; raises SystemExit where the server and the ledger disagree."""
    conditions = [one for one in CONDITIONS if one != UNSERVED]
    kills = -(-int(os.environ.get("SOAK_KILLS", KILLS)) // len(conditions))
    wrong: list[str] = []
    with ProcessPoolExecutor(AT_ONCE) as pool:
        left = [one for one in conditions if one not in part.done]
        running = {pool.submit(_killed, one, f"{part.seed}/{one}", kills): one for one in left}
        for future in as_completed(running):
            name, (figures, found) = running[future], future.result()
            say(f"{name}: {figures}")
            wrong += found
            if not found:
                part.finish(name, figures)
    if wrong:
        raise SystemExit("\n".join(wrong))


def _killed(condition: str, seed: str, kills: int) -> tuple[Figures, list[str]]:
    draw = random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="tabsync-soak-", dir=fast_place()) as made:
        Path(made).chmod(0o755)
        with site(Path(made), draw) as place:
            rounds = 0
            while place.seen["kills"] < kills and not place.wrong:
                rounds += 1
                Round(place, rounds, (condition,), kills=draw.randint(2, 5)).live()
            return figures(place, rounds), place.wrong


def figures(place: Site, rounds: int) -> Figures:
    """What a site has seen, as columns."""
    seen = place.seen
    return {
        "rounds": str(rounds),
        "kills": str(seen["kills"]),
        **{kind: str(seen[kind]) for kind in _KINDS},
        "sessions ended": str(seen["sessions ended"]),
        "done again, and said": str(seen["again, and said"]),
        "journals merged": str(seen["journals merged"]),
        "server and ledger disagree": str(len(place.wrong)),
    }
