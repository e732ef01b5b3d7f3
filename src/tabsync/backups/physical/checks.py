"""What a server must be like for its files and its WAL to be taken: asked before anything is changed."""

from __future__ import annotations

from dataclasses import dataclass

from psycopg import pq
from psycopg.conninfo import make_conninfo
from psycopg.rows import dict_row

from tabsync.kernel.errors import NotAllowed, Refused
from tabsync.kernel.step import Facts
from tabsync.postgres import catalog
from tabsync.postgres.connect import Connection
from tabsync.postgres.conninfo import place
from tabsync.postgres.queries import named

_SQL = named(__package__, "physical.sql")


@dataclass(frozen=True, slots=True)
class Tablespace:
    """A tablespace outside of the data directory. location: its directory on the source."""

    oid: int
    name: str
    location: str


def check_replication(connection: Connection, conninfo: str) -> str:
    """See that the user may read the server's files and WAL, and that replication is let in from here.

    Returns the system identifier, as the server tells it to whoever replicates.

    Raises Refused for a managed server and for settings that don't allow it, NotAllowed when the right is missing.
    """
    provider = catalog.provider(connection)
    if provider != "self-hosted":
        raise Refused(
            f"{provider} gives no access to the files and the WAL of its servers",
            "use the provider's point-in-time recovery, and dumps: tabsync backup take full",
        )
    facts = _one(connection, "may_replicate")
    user = catalog.quoted(connection.info.user)
    if not facts["may_replicate"]:
        raise NotAllowed(f"user {user} lacks the REPLICATION attribute", f"psql -c 'alter role {user} replication'")
    if facts["wal_level"] == "minimal":
        raise Refused(
            "the server's wal_level is minimal: its WAL is not enough for a recovery",
            "psql -c \"alter system set wal_level = 'replica'\", then restart the server",
        )
    if facts["max_wal_senders"] == 0:
        raise Refused(
            "the server's max_wal_senders is 0: it accepts no replication connections",
            "psql -c 'alter system set max_wal_senders = 10', then restart the server",
        )
    return _identify_system(conninfo, user)


def check_summaries(connection: Connection, major: int) -> None:
    """See that the server can say what changed since another backup. Raises Refused."""
    if major < 17:
        raise Refused(
            f"PostgreSQL {major} has no incremental backups: they exist since PostgreSQL 17",
            "take a full one: tabsync backup take physical",
        )
    if _one(connection, "may_replicate")["summarize_wal"] != "on":
        raise Refused(
            "the server does not track changed blocks: summarize_wal is off",
            "psql -c 'alter system set summarize_wal = on' -c 'select pg_reload_conf()', then take a full one first",
        )


def cluster_facts(connection: Connection) -> Facts:
    """The cluster's superuser, databases, size (bytes, of what we may connect to) and WAL segment size (bytes)."""
    return _one(connection, "cluster")


def tablespaces(connection: Connection) -> list[Tablespace]:
    """The tablespaces outside of the data directory."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return [Tablespace(**row) for row in cursor.execute(_SQL["tablespaces"]).fetchall()]


def read_next_xid(connection: Connection) -> int:
    """The first transaction id that was not given out yet."""
    return int(_one(connection, "next_xid")["next_xid"])


def pin_wal(connection: Connection, name: str) -> None:
    """Keep WAL from now on, by a temporary slot, until the session ends."""
    connection.execute(_SQL["pin_wal"], {"name": name})


def _identify_system(conninfo: str, user: str) -> str:
    # Nothing but trying tells whether pg_hba.conf has a line for it: "all" databases doesn't mean replication.
    words = make_conninfo(conninfo, replication="true", application_name="tabsync/check", connect_timeout="10")
    tried = pq.PGconn.connect(words.encode())
    try:
        if tried.status != pq.ConnStatus.OK:
            lines = tried.error_message.decode(errors="replace").strip().splitlines() or ["no reason given"]
            raise NotAllowed(
                f"{place(conninfo)} rejects replication connections from here: {lines[-1].split('FATAL:')[-1].strip()}",
                f"add to its pg_hba.conf: host replication {user} ADDRESS scram-sha-256, then reload it",
            )
        return (tried.exec_(b"IDENTIFY_SYSTEM").get_value(0, 0) or b"").decode()
    finally:
        tried.finish()


def _one(connection: Connection, name: str) -> Facts:
    with connection.cursor(row_factory=dict_row) as cursor:
        found = cursor.execute(_SQL[name]).fetchone()
    if found is None:
        raise LookupError(name)
    return found
