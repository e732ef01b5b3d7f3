"""When a timeline really began: read from its WAL where a target may lie on either side of that."""

from __future__ import annotations

import re
import tempfile
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from tabsync.backups.physical.base import lsn_text
from tabsync.backups.physical.lay_out import programs_of
from tabsync.backups.wal.archive import fetch
from tabsync.backups.wal.names import segment_at
from tabsync.system.programs import run_program

if TYPE_CHECKING:
    from tabsync.backups.wal.window import Cluster
    from tabsync.stores.store import Store

_COMMIT = re.compile(r"desc: COMMIT(?:_PREPARED)? .*?(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+) UTC")


def with_first_commits(store: Store, cluster: Cluster, moment: datetime) -> Cluster:
    """The cluster with its timelines as old as their first commit, where the store learned of them after a moment.

    Between the two a server that was recovered was in use already, and its WAL not yet received.
    """
    learned = dict(cluster.archive.learned)
    for timeline, known in cluster.archive.learned.items():
        first = _first_commit(store, cluster, timeline) if known > moment and cluster.bases else None
        if first is not None:
            learned[timeline] = min(first, known)
    return replace(cluster, archive=replace(cluster.archive, learned=learned))


def _first_commit(store: Store, cluster: Cluster, timeline: int) -> datetime | None:
    """The time of the first commit in the segment that a timeline begins with; None when it has none."""
    _parent, left = cluster.archive.histories[timeline][-1]
    major = int(cluster.bases[-1].manifest.source["version_num"]) // 10000
    name = segment_at(timeline, left, cluster.archive.size).name(cluster.archive.size)
    with tempfile.TemporaryDirectory(prefix="tabsync-fork-") as directory:
        segment = Path(directory) / name
        if not fetch(store, cluster.system_identifier, name, segment, partial=True):
            return None
        program = programs_of(major).program("pg_waldump")
        argv: list[str | Path] = [program, "--rmgr=Transaction", f"--start={lsn_text(left)}", segment]
        done = run_program(argv, env={"TZ": "UTC"})  # it complains at the end of what is written, where it should end
        found = _COMMIT.search(done.stdout)
    return datetime.fromisoformat(f"{found[1]}+00:00") if found else None
