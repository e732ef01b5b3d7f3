"""Whether the process that keeps this one is gone: then this one ends by itself."""

from __future__ import annotations

import functools
import os

PARENT = "TABSYNC_PARENT"
"""Environment variable with the pid of the process that keeps this one."""


def is_orphan() -> bool:
    """Whether this process is kept by another one that is gone. One that a person started is kept by nobody."""
    keeper = _keeper()
    return keeper != 0 and os.getppid() != keeper


@functools.cache
def _keeper() -> int:
    # Told by the parent, not asked for at the start: it may have been killed before this process could ask, and then
    # the one that took this process in would never be gone. Taken out, so that runs which go on don't inherit it.
    said = os.environ.pop(PARENT, "")
    return int(said) if said.isdecimal() else 0
