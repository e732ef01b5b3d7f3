"""Whether the schema tabsync_audit is ours, before anything in it is read, written or called.

Whoever may create a schema may have made one of that name, with a view whose function would then run as us: as a
superuser, often. So nothing in it is touched unless it belongs to a superuser, to the role tabsync_audit or to the role
that asks, and is plain: no view, no trigger, no default, no check of somebody's.
"""

from __future__ import annotations

from psycopg.rows import dict_row

from tabsync.kernel.errors import Refused
from tabsync.postgres.connect import Connection
from tabsync.postgres.queries import named

_SQL = named(__package__, "trust.sql")
_HINT = (
    "look who has made it: \\dn+ tabsync_audit; to use one that a role without superuser has installed, connect as it"
)


def check_ours(connection: Connection) -> None:
    """See that there is no schema tabsync_audit, or that it is ours. Raises Refused with the first thing that isn't."""
    with connection.cursor(row_factory=dict_row) as cursor:
        found = cursor.execute(_SQL["strange"], {}).fetchone()
    if found:
        raise Refused(f"the schema tabsync_audit is not as tabsync makes it, and is not used: {found['told']}", _HINT)


def check_called(connection: Connection, name: str) -> None:
    """See that a function of ours runs as its owner, who is trusted, before it is called. Raises Refused.

    name: of a function that is there once, whatever its arguments.
    """
    with connection.cursor(row_factory=dict_row) as cursor:
        found = cursor.execute(_SQL["called"], {"name": name}).fetchall()
    if len(found) != 1 or not found[0]["definer"] or not found[0]["trusted"]:
        raise Refused(
            f"the function tabsync_audit.{name} is not as tabsync makes it, and is not called", "tabsync audit status"
        )
