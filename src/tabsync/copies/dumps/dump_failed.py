"""Why pg_dump failed, and what helps: the fact with the server's own words, the hint by what they mean.

The words are matched in English: a superuser's session makes the server speak it (postgres/settings.py). An ordinary
role can't; where the server then speaks another language its words are shown as they are, without a guess.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from tabsync.kernel.errors import FailedPartway

LOCK_WAIT = 60_000
"""Milliseconds after which a dump that queues behind an ALTER TABLE gives up and says so."""

_DAMAGE = (
    "invalid page in block|could not read blocks?|page verification failed|missing chunk number|unexpected chunk"
    "|data is corrupt|could not access status of transaction|found xm(?:in|ax)|unexpected data beyond EOF"
    '|could not open file "(?:base|global|pg_)|cache lookup failed|missing attribute|invalid compressed'
)
_SEE_DAMAGE = (
    "the data is corrupt, and another try will not help: change nothing, keep all backups, follow the runbook"
    " 'Data corruption detected', and check the last backup: tabsync backup verify latest --deep"
)
_TOO_LARGE = (
    "a value of more than 1 GB as text (500 MB of bytea) can't be dumped: find it with octet_length(); if there is"
    " none, a stored length is corrupt: follow the runbook 'Data corruption detected'"
)
_STANDBY = (
    "raise the standby's max_standby_streaming_delay (and max_standby_archive_delay), then pg_reload_conf(),"
    " or turn hot_standby_feedback on"
)

_HINTS: tuple[tuple[str, str], ...] = (
    ("(?:ERROR|FATAL|PANIC): .*No space left", "the server's own disk is full: free some space there"),
    ("invalid memory alloc request size|out of memory for .* string|string too long", _TOO_LARGE),
    (_DAMAGE, _SEE_DAMAGE),
    (
        "max_locks_per_transaction",
        "pg_dump locks each table: set max_locks_per_transaction to the number of tables, divided by max_connections,"
        " and some more; it takes effect when the server is restarted",
    ),
    (
        "row-level security",
        "dump as a superuser, or: alter role ... bypassrls; with FORCE ROW LEVEL SECURITY the owner is restricted too",
    ),
    ("permission denied for large object", "dump as a superuser, or: grant select on large object ... to the user"),
    ("permission denied", "grant pg_read_all_data to the user that takes backups"),
    (
        "closed the connection|connection to server|terminating connection",
        "run it again; no incomplete backup is listed",
    ),
    ("(?:ERROR|FATAL): ", "no incomplete backup is listed; read the server's log before you run it again"),
)
"""By the server's words, the first that fits."""


def dump_failed(complaint: str, into: Path) -> FailedPartway:
    """The error of a dump that failed. complaint: see Finished.complaint; into: where it was written."""
    local = complaint.partition("ERROR:")[0]
    if "No space left" not in complaint and shutil.disk_usage(into.parent).free < 1 << 20:
        local += " (No space left on device)"  # pg_dump may call it "could not close data file: Success"
        complaint += " (No space left on device)"
    fact = f"pg_dump failed: {complaint.removeprefix('pg_dump: ').removeprefix('error: ')}; no backup was recorded"
    if "No space left" in local:
        return FailedPartway(fact, f"free some space on the disk of {into.parent}")
    if "statement timeout" in complaint:  # pg_dump bounds nothing else with it than its wait for locks
        fact = f"pg_dump could not lock a table within {LOCK_WAIT / 1000:.0f} s; no backup was recorded"
        return FailedPartway(
            fact,
            "another session holds the lock, for example a migration; to see which: tabsync status; then run it again",
        )
    if "conflict with recovery" in complaint:
        fact = "the standby cancelled pg_dump because it delayed the replay of WAL; no backup was recorded"
        return FailedPartway(fact, _STANDBY)
    hint = next((hint for words, hint in _HINTS if re.search(words, complaint)), "")
    return FailedPartway(fact, hint or "no incomplete backup is listed; read the server's log")
