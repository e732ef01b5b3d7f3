"""Whether more fail than usual: what chance alone hardly explains, and what matters. Pure."""

from __future__ import annotations

import math

RARE = 0.001
"""What happens less often by chance is no chance."""

_TWICE = 2.0  # as many: that matters where few fail
_LOST = 0.15  # of those who usually can pay: that matters where many fail anyway
HALF = 0.5
"""Where so many fail that is an outage, and never what is usual."""


def matters(share: float, usually: float) -> bool:
    """Whether the rise to a share is one that somebody has to look at. At 30 % usually that is from 41 % on."""
    return share >= min(_TWICE * usually, usually + _LOST * (1 - usually), max(HALF, usually))


def at_least(count: int, tried: int, bad: float, of: int) -> float:
    """How likely at least so many of some fail, where before so many did of others.

    That a share is known from few is reckoned with, and that none failed does not say that none ever does: it is the
    beta-binomial distribution, with one success and one failure more than there were.
    """
    if count <= 0:
        return 1.0
    failing, ending = bad + 1, of - bad + 1
    whole = _beta(failing, ending) - math.lgamma(tried + 1)
    logs = (
        _beta(number + failing, tried - number + ending)
        - math.lgamma(number + 1)
        - math.lgamma(tried - number + 1)
        - whole
        for number in range(count, tried + 1)
    )
    return min(1.0, math.fsum(math.exp(one) for one in logs))


def _beta(one: float, other: float) -> float:
    return math.lgamma(one) + math.lgamma(other) - math.lgamma(one + other)
