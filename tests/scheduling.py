"""Which tests go to one worker together: those of a file whose servers are made once; all others go one by one.

pytest-xdist's own `loadgroup` does this by a mark, but not with the node ids of pytest 9.
"""

from __future__ import annotations

from xdist.scheduler import LoadScopeScheduling

TOGETHER = (
    "tests/console/test_wheel.py",
    "tests/console/",
    "tests/postgres/stores/",
    "tests/drills/test_odd_clusters.py",
    "tests/drills/test_pitr.py",
    "tests/drills/test_standby.py",
    "tests/drills/test_timelines.py",
    "tests/drills/test_wal.py",
    "tests/drills/test_wal_copy.py",
)


class Together(LoadScopeScheduling):
    """Hands out single tests, but these files and folders whole."""

    def _split_scope(self, nodeid: str) -> str:
        return next((one for one in TOGETHER if nodeid.startswith(one)), nodeid)
