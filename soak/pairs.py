"""Two things are broken at once, each pair of them: a runbook goes to its end, once undisturbed and once killed."""

from __future__ import annotations

import random
import tempfile
from itertools import combinations
from pathlib import Path

from tests.drills.runbook_rounds import Round
from tests.drills.runbook_site import CONDITIONS, RESTARTED, UNSERVED, site
from tests.place import fast_place

from soak.part import Figures, Part, Say
from soak.runbooks import figures

BROKEN = [one for one in CONDITIONS if one not in ("nothing else", RESTARTED)]


def run(part: Part, say: Say) -> None:
    """Each pair; raises SystemExit where the server and the ledger disagree."""
    for pair in combinations(BROKEN, 2):
        name = " and ".join(pair)
        if name in part.done:
            continue
        found, wrong = _pair(pair, f"{part.seed}/{name}")
        say(f"{name}: {found}")
        if wrong:
            raise SystemExit("\n".join(wrong))
        part.finish(name, found)


def _pair(pair: tuple[str, ...], seed: str) -> tuple[Figures, list[str]]:
    draw = random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="tabsync-soak-", dir=fast_place()) as made:
        Path(made).chmod(0o755)
        with site(Path(made), draw, served=UNSERVED not in pair) as place:
            for number, kills in enumerate((0, 3), start=1):
                Round(place, number, pair, kills).live()
            return figures(place, 2), place.wrong
