"""The example of docs/how-to/acting-as.md: an application that says who acts."""

from __future__ import annotations

from psycopg import Connection

from tabsync.audit.acting import acting_as


def rename(connection: Connection, user: str, name: str, key: bytes) -> None:
    """Give a user another name, in that user's own name."""
    with acting_as(connection, user, key=key):  # a transaction, committed at the end
        connection.execute("update users set full_name = %s where id = %s", [name, user])
