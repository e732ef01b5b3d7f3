"""The part "histories": 10,000 random histories of a machine, judged by the product and by a naive model.

In chunks, each with a seed of its own, so that an interrupted run goes on where it was, and any chunk comes again.
"""

from __future__ import annotations

import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict

from soak.part import Part, Say

CHUNKS = 20
EXAMPLES = 500  # in a chunk
AT_ONCE = 2


def run(part: Part, say: Say) -> None:
    """Live through all of them; raises AssertionError, with the smallest such history, where the two disagree."""
    left = [number for number in range(CHUNKS) if _name(number) not in part.done]
    with ProcessPoolExecutor(AT_ONCE) as pool:
        for number, told in zip(left, pool.map(_chunk, [part.seed * 1_000 + one for one in left]), strict=True):
            say(f"{_name(number)}: {told}")
            part.finish(_name(number), told)


def _name(number: int) -> str:
    return f"{number * EXAMPLES + 1} to {(number + 1) * EXAMPLES}"


def _chunk(seed: int) -> dict[str, str]:
    from hypothesis import HealthCheck, Phase, given, settings
    from hypothesis import seed as seeded
    from tests.unit.schedule.histories import History, histories
    from tests.unit.schedule.lived import lived

    told: Counter[str] = Counter()
    started = time.monotonic()

    @seeded(seed)
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(histories())
    def live(history: History) -> None:
        told.update(asdict(lived(history)))
        told["histories"] += 1

    live()
    figures = {name.replace("_", " "): f"{told[name]:,}" for name in ("histories", *sorted({*told} - {"histories"}))}
    return {"disagreements": "0", **figures, "seconds": f"{time.monotonic() - started:.0f}"}
