"""Deployments under guard, killed at a random moment in each phase: the guard, its command, or the server."""

from __future__ import annotations

import os
import tempfile
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

from tests.place import fast_place
from tests.postgres.deployments.guard_rounds import PHASES, WHOM, Ground, Round, ground

from soak.part import Figures, Part, Say

KILLS = 108
"""Six in each phase for each that may be killed; SOAK_KILLS says otherwise."""
AT_ONCE = 2


def run(part: Part, say: Say) -> None:
    """Each phase with its share of the kills; raises SystemExit where something is not as it must be."""
    each = -(-int(os.environ.get("SOAK_KILLS", KILLS)) // (len(PHASES) * len(WHOM)))
    wrong: list[str] = []
    with ProcessPoolExecutor(AT_ONCE) as pool:
        left = [one for one in PHASES if one not in part.done]
        running = {pool.submit(_killed, one, f"{part.seed}/{one}", each): one for one in left}
        for future in as_completed(running):
            phase, (figures, found) = running[future], future.result()
            say(f"{phase}: {figures}")
            wrong += found
            if not found:
                part.finish(phase, figures)
    if wrong:
        raise SystemExit("\n".join(wrong))


def _killed(phase: str, seed: str, each: int) -> tuple[Figures, list[str]]:
    with tempfile.TemporaryDirectory(prefix="tabsync-soak-", dir=fast_place()) as made:
        Path(made).chmod(0o755)
        with ground(Path(made)) as there:
            number = 0
            for whom in WHOM:
                until = there.seen["kills"] + each
                while there.seen["kills"] < until and not there.wrong:
                    number += 1
                    Round(there, number, phase, whom, f"{seed}/{number}").live()
            return figures(there), there.wrong


def figures(there: Ground) -> Figures:
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
