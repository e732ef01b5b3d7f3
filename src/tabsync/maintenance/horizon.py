"""What holds VACUUM back: whoever may still see rows that are dead."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from tabsync.kernel.plain import in_one_line
from tabsync.kernel.step import Facts
from tabsync.kernel.units import human_seconds
from tabsync.maintenance.work import rows
from tabsync.postgres.connect import Connection
from tabsync.postgres.prepared import rollback

_SHORT = 60.0  # seconds: a transaction that is younger is what runs all the time
_FEW = 100_000  # transactions: a slot or a standby that is behind by less is what is on its way


def holders(connection: Connection) -> list[Facts]:
    """What holds VACUUM back for long, the worst first; see maintenance.sql."""
    return [one for one in rows(connection, "holders") if is_long(one)]


def is_long(one: Facts) -> bool:
    """Whether a holder is worth a word."""
    return bool(one["seconds"] > _SHORT if one["seconds"] is not None else (one["transactions"] or 0) > _FEW)


def told(one: Facts) -> str:
    """A holder in words: "session 4711 (web as shop) has been idle in transaction for 3 h"."""
    name = in_one_line(str(one["name"]))
    if one["kind"] == "session":
        who = f"session {name} ({in_one_line(one['application']) or '-'} as {one['user']})"
        return f"{who} has had a transaction open for {human_seconds(one['seconds'])}, and is {one['state']}"
    if one["kind"] == "prepared transaction":
        return f"the prepared transaction {name} has waited for {human_seconds(one['seconds'])}"
    return f"the {one['kind']} {name} is {one['transactions']:,} transactions behind"


def remedy(one: Facts) -> str:
    """What ends a holder."""
    name = in_one_line(str(one["name"]))
    return {
        "session": f"tabsync connections terminate {name}",
        "prepared transaction": rollback(str(one["name"])),
        "replication slot": f"if nobody needs it: tabsync wal drop-slot --slot {name}",
    }.get(str(one["kind"]), "tabsync replication diagnose")


def in_vain(found: Sequence[Facts], vacuumed_at: str | None) -> Facts | None:
    """The holder that was there before the last VACUUM: what died since then can't be removed now. None: there is none.

    vacuumed_at: when the table was last vacuumed, by whomever.
    """
    if vacuumed_at is None:
        return None
    last = datetime.fromisoformat(vacuumed_at)
    return next((one for one in found if one["since"] and datetime.fromisoformat(one["since"]) < last), None)
