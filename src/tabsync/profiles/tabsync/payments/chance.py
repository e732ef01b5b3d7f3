"""How likely it is that chance alone explains a number. Pure."""

from __future__ import annotations

import math

RARE = 0.001
"""What happens less often by chance is worse than usual."""


def at_least(count: int, tried: int, share: float) -> float:
    """How likely at least so many of some fail, where each does so with this probability (binomial)."""
    if count <= 0:
        return 1.0
    if count > tried or share <= 0:
        return 0.0
    if share >= 1:
        return 1.0
    logs = (
        math.lgamma(tried + 1)
        - math.lgamma(number + 1)
        - math.lgamma(tried - number + 1)
        + number * math.log(share)
        + (tried - number) * math.log1p(-share)
        for number in range(count, tried + 1)
    )
    return min(1.0, math.fsum(math.exp(one) for one in logs))
