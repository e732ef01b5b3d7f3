"""The demo's schedule: a night in two minutes. Each heading comes round so soon that one can watch it."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tabsync.service.collector import Collector
from tabsync.service.scheduler import Scheduler
from tabsync.system.zone import machine_zone
from tabsync.workspace import Workspace

SCHEDULE = """## Schedule

A night in two minutes, for the demo: the manual of a real database says Daily and Weekly here.

### Every 2 minutes

- Full backup: `tabsync backup take full`
- Back up the critical tables: `tabsync backup take tables users orders payments`
- Prove it: `tabsync drill --backup latest --keep-warm`

### Every minute

- Health check: `tabsync health`
- Look at the page Schedule (owner you)

### Before a production deployment

- A backup is proven: `tabsync drill --backup latest`
- The release notes were read (owner you)

"""

_SECTION = re.compile(r"^## Schedule\n.*?(?=^## |\Z)", re.MULTILINE | re.DOTALL)


def with_a_night(manual: str) -> str:
    """A manual with the demo's schedule in place of its own."""
    return _SECTION.sub(lambda _: SCHEDULE, manual, count=1)


@contextmanager
def kept(workspace: Workspace) -> Iterator[None]:
    """Keep the schedule and measure while the block runs; what runs at its end is ended with it."""
    scheduler, collector = Scheduler(workspace, "demo", machine_zone()), Collector(workspace, "demo")
    threads = [threading.Thread(target=one.run, daemon=True) for one in (scheduler, collector)]
    for one in threads:
        one.start()
    try:
        yield
    finally:
        scheduler.patience = 3.0
        for part in (scheduler, collector):
            part.stopping.set()
        for one in threads:
            one.join(60)
