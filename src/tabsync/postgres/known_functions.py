"""Functions by what they do besides giving a value: which a reader may call though volatile, and which it may not."""

from __future__ import annotations

import re

ALLOWED_VOLATILE = frozenset(
    {
        "clock_timestamp",
        "current_query",
        "gen_random_uuid",
        "pg_blocking_pids",
        "pg_control_checkpoint",
        "pg_control_init",
        "pg_control_recovery",
        "pg_control_system",
        "pg_current_wal_flush_lsn",
        "pg_current_wal_insert_lsn",
        "pg_current_wal_lsn",
        "pg_database_size",
        "pg_hba_file_rules",
        "pg_indexes_size",
        "pg_is_in_recovery",
        "pg_is_wal_replay_paused",
        "pg_jit_available",
        "pg_last_wal_receive_lsn",
        "pg_last_wal_replay_lsn",
        "pg_last_xact_replay_timestamp",
        "pg_lock_status",
        "pg_ls_archive_statusdir",
        "pg_ls_waldir",
        "pg_notification_queue_usage",
        "pg_partition_ancestors",
        "pg_partition_tree",
        "pg_prepared_xact",
        "pg_relation_size",
        "pg_sequence_last_value",
        "pg_show_all_file_settings",
        "pg_table_size",
        "pg_tablespace_size",
        "pg_total_relation_size",
        "pg_xact_commit_timestamp",
        "random",
        "timeofday",
    }
)
"""Volatile functions of PostgreSQL that only look; pg_stat_get_... are let through by their prefix."""


SIDE_EFFECTS_NOT_VOLATILE = re.compile(r"(table|schema|database|cursor|query)_to_xml.*|txid_current|pg_current_xact_id")
"""Marked stable, but they run SQL that we don't see, or take a transaction id."""


ALLOWED_OF_EXTENSIONS = frozenset(
    {("pg_stat_statements", "pg_stat_statements"), ("pg_stat_statements", "pg_stat_statements_info")}
)
"""Extensions' functions may run SQL that we don't see (tablefunc's crosstab is marked stable): named ones only."""


KNOWN_SIDE_EFFECTS = re.compile(
    r"pg_(terminate|cancel)_backend|nextval|setval|set_config|setseed|pg_sleep.*|pg_notify|pg_reload_conf|lo_.*"
    r"|pg_rotate_logfile|pg_switch_wal|pg_promote|pg_(try_)?advisory_.*|pg_stat_reset.*|pg_read_.*file|pg_ls_dir"
    r"|pg_(create|drop|copy)_.*(slot|point)|pg_logical_.*|pg_replication_(slot|origin)_.*|pg_export_snapshot"
    r"|pg_wal_replay_(pause|resume)|pg_log_.*|pg_backup_.*|dblink.*|ts_stat|" + SIDE_EFFECTS_NOT_VOLATILE.pattern
)
"""What is refused without a server to ask, so that `manual check` finds it too."""
