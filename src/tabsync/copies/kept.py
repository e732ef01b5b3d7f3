"""Where what was in the database before a change of ours is kept: people's data, in files that only we can read."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

KEPT_DAYS = 30
_KINDS = ("*.jsonl", "*.sql")
"""Rows that `restore rows` wrote, for its own undo; rows that `migration undo` took away, for psql."""


def kept_directory(home: Path) -> Path:
    """The directory of these files; those that are older than KEPT_DAYS are deleted."""
    directory = home / "undo"
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    oldest = time.time() - KEPT_DAYS * 86_400
    for path in (one for kind in _KINDS for one in directory.glob(kind)):
        with suppress(FileNotFoundError):
            if path.stat().st_mtime < oldest:
                path.unlink()
    return directory
