"""The most harmful value that each setting of PostgreSQL may legally have, generated from the server's own list."""

from __future__ import annotations

from psycopg import sql

from tabsync.postgres.connect import Connection

WORST = {
    "DateStyle": "German, DMY",
    "IntervalStyle": "iso_8601",
    "TimeZone": "Asia/Kathmandu",
    "bytea_output": "escape",
    "client_encoding": "LATIN1",
    "client_min_messages": "debug5",
    "constraint_exclusion": "off",
    "cursor_tuple_fraction": "0",
    "default_transaction_isolation": "serializable",
    "extra_float_digits": "-15",
    "gin_fuzzy_search_limit": "1",
    "lc_messages": "C",
    "max_stack_depth": "100",
    "plan_cache_mode": "force_generic_plan",
    "role": "pg_monitor",
    "search_path": "hostile, public, pg_catalog",
    "session_replication_role": "replica",
    "synchronous_commit": "off",
    "temp_file_limit": "0",
    "timezone_abbreviations": "India",
    "wal_sender_timeout": "1",
    "xmlbinary": "hex",
    "xmloption": "document",
}
"""Where neither the opposite of a switch nor an end of the range is the worst."""

TIMEOUTS = (
    "idle_in_transaction_session_timeout",
    "idle_session_timeout",
    "lock_timeout",
    "statement_timeout",
    "transaction_timeout",
)
"""One millisecond is the worst of these, and 0 the best."""

NOT_OURS = (
    "allow_in_place_tablespaces",
    "backtrace_functions",
    "debug_",
    "default_text_search_config",
    "dynamic_library_path",
    "extension_",
    "jit_",
    "log_",
    "output_plugin_libraries",
    "session_preload_libraries",
    "local_preload_libraries",  # no library is there to be loaded: a session of the application's would not start
    "trace_",
    "track_",
    "transaction_deferrable",
    "transaction_isolation",
    "wal_consistency_checking",
)
"""What fills the server's log or keeps everybody out is the administrator's affair; transaction_... isn't preset."""


def worst_presets(connection: Connection) -> dict[str, str]:
    """Every setting that a role or a database can preset, with its most harmful legal value."""
    rows = connection.execute(
        "select name, vartype, min_val, max_val, enumvals, boot_val from pg_catalog.pg_settings"
        " where context in ('user', 'superuser') order by name"
    ).fetchall()
    found = {name: _worst(name, *rest) for name, *rest in rows if not name.startswith(NOT_OURS)}
    return {name: value for name, value in found.items() if value is not None} | {"role": WORST["role"]}


def _worst(name: str, kind: str, least: str, most: str, words: list[str] | None, usual: str | None) -> str | None:
    if name in WORST:
        return WORST[name]
    if name in TIMEOUTS:
        return "1"
    if kind == "bool":
        return "off" if usual == "on" else "on"
    if kind in ("integer", "real"):
        return least if usual != least else most
    if kind == "enum" and words:
        return next((word for word in words if word != usual), None)
    return None


def preset(connection: Connection, database: str, values: dict[str, str]) -> None:
    """Preset settings for everybody who comes to a database."""
    for name, value in values.items():
        statement = sql.SQL("alter database {} set {} to {}")
        if name == "search_path":
            schemas = sql.SQL(", ").join(sql.Identifier(one) for one in value.split(", "))
            connection.execute(statement.format(sql.Identifier(database), sql.Identifier(name), schemas))
        else:
            connection.execute(statement.format(sql.Identifier(database), sql.Identifier(name), sql.Literal(value)))
