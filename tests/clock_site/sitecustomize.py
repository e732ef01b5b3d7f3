"""Sets the clock of real processes from outside: it replaces the one place in which the product reads the time.

Python imports a module of this name when it starts, if it is on PYTHONPATH: the service and all that it starts.
"""

from __future__ import annotations

import os
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path

_FILE = os.environ.get("TABSYNC_TEST_CLOCK")

if _FILE:
    from tabsync.kernel import clock

    _real = clock.now

    def _now() -> datetime:
        return _real() + timedelta(seconds=float(Path(_FILE or "").read_text() or 0))

    clock.now = _now

_STARTS = os.environ.get("TABSYNC_TEST_STARTS")

if _STARTS and "tabsync.cli.job" in sys.orig_argv:
    # A line for each process that was really started, whatever the ledger says.
    with Path(_STARTS).open("a") as _log:
        _log.write(f"{time.time():.3f} {os.getpid()} {Path(sys.orig_argv[-1]).name}\n")
