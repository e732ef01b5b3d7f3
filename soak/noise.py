"""The part "noise": 30 days of a restaurant for each of 20 seeds, as often as the manual measures, without a server."""

from __future__ import annotations

import time
from concurrent.futures import ProcessPoolExecutor

from soak.part import Part, Say

SEEDS = 20
AT_ONCE = 2


def run(part: Part, say: Say) -> None:
    """Live through all of them; raises AssertionError where a fault isn't told, or too much else is."""
    seeds = [part.seed * 1_000 + number for number in range(SEEDS)]
    left = [seed for seed in seeds if _name(seed) not in part.done]
    with ProcessPoolExecutor(AT_ONCE) as pool:
        for seed, told in zip(left, pool.map(_month, left), strict=True):
            say(f"{_name(seed)}: {told}")
            part.finish(_name(seed), told)
    wrong = [name for name, told in part.done.items() if told["missed"] != "0" or int(told["false in a week"]) > 1]
    assert not wrong, f"a fault is not told, or more than one false message a week: {', '.join(wrong)}"


def _name(seed: int) -> str:
    return f"seed {seed}"


def _month(seed: int) -> dict[str, str]:
    from tests.unit.monitoring.noise import lived

    started = time.monotonic()
    month = lived(seed)
    return {
        "readings": f"{month.readings:,}",
        "faults told": str(len(month.restaurant.faults) - len(month.missed)),
        "missed": str(len(month.missed)),
        "messages": str(len(month.messages)),
        "false": str(len(month.false)),
        "false in a week": str(month.worst_week()),
        "episodes of one fault": str(max(month.begun.values(), default=0)),
        "seconds": f"{time.monotonic() - started:.0f}",
    }
