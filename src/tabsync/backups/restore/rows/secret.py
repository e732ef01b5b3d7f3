"""Columns whose values the audit log hides: a row that lacks them is only written when that was asked for."""

from __future__ import annotations

from collections.abc import Sequence

from tabsync.backups.restore.rows.comparison import MISSING
from tabsync.kernel.errors import Refused
from tabsync.kernel.step import Facts
from tabsync.postgres.catalog import Relation


def check_secrets(tables: Sequence[Facts]) -> None:
    """Refuse to insert rows without the values that the log hides. tables: those that are written to."""
    for one in tables:
        if not one[MISSING] or not (masked := one.get("masked")):
            continue
        relation = Relation(one["schema"], one["name"])
        named = ", ".join(masked)
        raise Refused(
            f"{one[MISSING]:,} rows of {relation} would come back without {named}: the audit log does not have secrets",
            "take them from a backup: --secrets-from latest; or leave them empty: --without-secrets",
        )
