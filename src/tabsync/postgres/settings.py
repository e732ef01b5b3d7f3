"""What a session of ours depends on, setting by setting, so that no preset of a role or a database decides for it.

A preset (ALTER ROLE or ALTER DATABASE ... SET) takes effect before the first statement. So what may end a session, or
load a library into it, goes along as a start-up option, which beats presets; the rest is set right after. The order in
which PostgreSQL takes them: https://www.postgresql.org/docs/current/config-setting.html
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

SEARCH_PATH = "pg_catalog, pg_temp"
"""Names mean PostgreSQL's own objects and nothing else. pg_temp is named, or it would come first: CVE-2018-1058.

https://www.postgresql.org/docs/current/ddl-schemas.html#DDL-SCHEMAS-PATTERNS
"""

PLANNER: dict[str, str] = {
    f"enable_{method}": "on"
    for method in (
        "bitmapscan",
        "hashagg",
        "hashjoin",
        "indexonlyscan",
        "indexscan",
        "material",
        "memoize",
        "mergejoin",
        "nestloop",
        "sort",
    )
}
"""With these off, which help to look for errors, what pg_dump asks the catalog can take hours instead of a second."""

ALWAYS: dict[str, str] = {
    # What would end, stop or delay a session that waits for pg_dump or holds WAL.
    "idle_session_timeout": "0",
    "post_auth_delay": "0",
    "tcp_user_timeout": "0",
    "client_connection_check_interval": "0",
    "wal_sender_timeout": "60s",
    "exit_on_error": "off",
    # Whose rights it has, what it loads, what it may write.
    "role": "none",
    "local_preload_libraries": "",
    "row_security": "off",  # a policy that would hide rows is an error, never a smaller number
    "default_transaction_read_only": "off",
    "default_transaction_isolation": "read committed",  # serializable is refused on a standby
    "default_transaction_deferrable": "off",
    "default_tablespace": "",
    "temp_tablespaces": "",
    "default_table_access_method": "heap",
    # How values look as text: the same on every server, or two copies of a row would differ.
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "postgres",
    "TimeZone": "UTC",
    "timezone_abbreviations": "Default",
    "bytea_output": "hex",
    "extra_float_digits": "3",
    "xmloption": "content",
    "xmlbinary": "base64",
    "quote_all_identifiers": "off",
    # What statements mean, and whether they find all rows.
    "standard_conforming_strings": "on",
    "backslash_quote": "safe_encoding",
    "array_nulls": "on",
    "transform_null_equals": "off",
    "gin_fuzzy_search_limit": "0",
    "ignore_system_indexes": "off",
    "work_mem": "16MB",  # with the least, 64 kB, what we ask spills to disk, where temp_file_limit may forbid it
    # Compiling costs more than our short statements take; what is written to stderr is read by us.
    "jit": "off",
    "client_min_messages": "warning",
    **PLANNER,
}
"""Any role may set these, on PostgreSQL 15 to 18."""

OURS: dict[str, str] = {"lc_monetary": "C", "lc_numeric": "C", "lc_time": "C"}
"""Not for PostgreSQL's programs: in a dump, money stands as the database itself writes and reads it."""

SINCE_17: dict[str, str] = {"transaction_timeout": "0"}
"""Any role may set it, on 17 and later: an older server refuses the session."""

SUPERUSER: dict[str, str] = {
    "lc_messages": "C",
    "session_replication_role": "origin",  # "replica" would switch foreign keys off
    "zero_damaged_pages": "off",  # "on" reads a damaged page as an empty one
    "ignore_checksum_failure": "off",
    "temp_file_limit": "-1",
    "max_stack_depth": "2MB",
    "deadlock_timeout": "1s",
    "commit_delay": "0",
    "track_activities": "on",
    "lo_compat_privileges": "off",
    "allow_system_table_mods": "off",
}
"""Only a superuser may set these."""

SUPERUSER_SINCE_17: dict[str, str] = {"event_triggers": "off"}
"""A trigger on login runs as whoever logs in: https://www.postgresql.org/docs/current/event-trigger-definition.html"""

WHERE_KNOWN: dict[str, str] = {"restrict_nonsystem_relation_kind": "", "icu_validation_level": "warning"}
"""Some minor releases know these, so the server is asked first."""

HARMFUL: Mapping[str, tuple[str, str]] = {
    "zero_damaged_pages": ("off", "a corrupt page would be read as an empty one"),
    "ignore_checksum_failure": ("off", "a corrupt page would be read as a valid one"),
    "session_replication_role": ("origin", "foreign keys would not be checked"),
}
"""What an ordinary role can't set back: the only good value, and what the others do."""


DECIDE = frozenset(
    {
        "default_transaction_read_only",
        "exit_on_error",
        "idle_session_timeout",
        "ignore_checksum_failure",
        "session_replication_role",
        "transaction_timeout",
        "zero_damaged_pages",
        *PLANNER,
    }
)
"""What decides whether pg_dump or pg_restore comes to its end, and with what: all else they set themselves."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What bounds a session of ours. Times in milliseconds, 0 = no limit."""

    lock_timeout: int = 1_000
    statement_timeout: int = 30_000
    idle_in_transaction_timeout: int = 60_000

    def settings(self) -> dict[str, str]:
        """The limits as PostgreSQL's settings."""
        return {
            "lock_timeout": str(self.lock_timeout),
            "statement_timeout": str(self.statement_timeout),
            "idle_in_transaction_session_timeout": str(self.idle_in_transaction_timeout),
        }


NO_LIMIT = Limits(lock_timeout=60_000, statement_timeout=0, idle_in_transaction_timeout=0)
"""For work on a copy of ours, and for PostgreSQL's programs: nobody waits for it, and its own time is reported."""


def as_options(settings: Mapping[str, str]) -> str:
    """Settings as start-up options: `-c name=value`, a space or backslash in a value escaped.

    https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNECT-OPTIONS
    """
    return " ".join(f"-c {name}={_escaped(value)}" for name, value in settings.items())


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace(" ", "\\ ")
