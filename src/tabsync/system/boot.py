"""Which run of the machine this is: what is counted since it began, as time.monotonic(), is comparable within it."""

from __future__ import annotations

from functools import cache
from pathlib import Path

_ID = Path("/proc/sys/kernel/random/boot_id")


@cache
def boot_id() -> str:
    """An id that is new at each start of this machine's kernel; "" where there is none.

    https://docs.kernel.org/admin-guide/sysctl/kernel.html#random
    """
    try:
        return _ID.read_text(encoding="ascii").strip()
    except OSError:
        return ""
