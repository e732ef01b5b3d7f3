"""Deployments under guard, killed at a random moment in each phase: the guard, its command, or the server."""

from __future__ import annotations

import os
import random
import tempfile
from pathlib import Path

from tests.place import fast_place
from tests.postgres.deployments.guard_rounds import GATED, PHASES, WHOM, Ground, Round, ground

from soak.part import Figures, Part, Say

KILLS = 108
"""Six in each phase for each that may be killed; SOAK_KILLS says otherwise."""


def run(part: Part, say: Say) -> None:
    """Each phase with its share of the kills; raises SystemExit where something is not as it must be."""
    each = -(-int(os.environ.get("SOAK_KILLS", KILLS)) // (len(PHASES) * len(WHOM)))
    draw = random.Random(part.seed)
    wrong: list[str] = []
    for phase in sorted(PHASES, key=lambda one: (one in GATED, draw.random())):
        if phase in part.done:
            continue
        with tempfile.TemporaryDirectory(prefix="tabsync-soak-", dir=fast_place()) as made:
            Path(made).chmod(0o755)
            with ground(Path(made)) as there:
                _phase(there, phase, each, f"{part.seed}/{phase}", say)
        figures = figures_of(there)
        say(f"{phase}: {figures}")
        wrong += there.wrong
        if not there.wrong:
            part.finish(phase, figures)
    if wrong:
        raise SystemExit("\n".join(wrong))


def _phase(there: Ground, phase: str, each: int, seed: str, say: Say) -> None:
    number = 0
    for whom in WHOM:
        kills = there.seen["kills"]
        while there.seen["kills"] < kills + each and not there.wrong:
            number += 1
            Round(there, number, phase, whom, f"{seed}/{number}").live()
            say(f"{phase}, {whom}: round {number}, {there.seen['kills']} kills")


def figures_of(there: Ground) -> Figures:
    """What a ground has seen, as columns."""
    seen = there.seen
    killed = {whom: sum(count for name, count in seen.items() if name.startswith(f"{whom} in ")) for whom in WHOM}
    return {
        "rounds": str(seen["kills"] + seen["too late"]),
        "kills": str(seen["kills"]),
        **{f"of the {whom}": str(count) for whom, count in killed.items()},
        "the next one refused": str(seen["next: refused"]),
        "the next one clean": str(seen["next: clean"]),
        "wrong": str(len(there.wrong)),
    }
