"""What the audit log lacks of the time that is asked about: gaps, and what a TRUNCATE took beyond its bound."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from tabsync.backups.restore.rows.logged import AuditLog, Names
from tabsync.kernel.errors import BadUsage
from tabsync.postgres.catalog import Relation


def lacking(log: AuditLog, tables: Mapping[Relation, Names | None]) -> Iterator[str]:
    """What is not in the log, in words. tables: each with what was found of it."""
    xids = [log.asked.transaction] if log.asked.transaction else []
    gaps = log.rows("gaps", moment=log.asked.as_of or log.begins)[0]
    if gaps["gaps"] and gaps["later"]:
        yield f"{gaps['gaps']:,} changes could not be recorded, the last at {gaps['last'][:19]} UTC: rows may lack"
    for relation, names in tables.items():
        yield from truncated(log, relation, xids)
        if names and log.asked.as_of:
            found = log.rows("unjoined", names.all(), table=str(relation), moment=log.asked.as_of)[0]
            if found["rows"]:
                yield f"{found['rows']:,} rows of {relation} were changed meanwhile by what was not recorded"
            if came := log.rows("made", names.all())[0]["made"]:
                yield f"{came:,} rows of {relation} came in since, or got another key: they stay as they are now"


def truncated(log: AuditLog, relation: Relation, xids: Sequence[str]) -> Iterator[str]:
    """What a TRUNCATE of a table took without recording each row."""
    moment = log.asked.as_of or None
    for one in log.rows("truncated", table=str(relation), moment=moment, xids=list(xids) or None):
        why = f": {one['why']}" if one["why"] else ""
        what = f"took about {one['rows']:,} rows that the log does not have{why}"
        yield f"TRUNCATE of {relation} at {one['at'][:19]} UTC {what}"


def nothing_found(log: AuditLog, root: Relation) -> BadUsage:
    """That the log has no such rows, with what may be the reason."""
    reasons = [f"it has changes since {log.begins[:19]} UTC", *lacking(log, {root: None})]
    return BadUsage(f"the audit log has no such rows of {root}", f"{'; '.join(reasons)}; use a backup: --from latest")
