-- name: standing
-- Whether recovery goes on, and whether it waits at its target.
select pg_is_in_recovery(), case when pg_is_in_recovery() then pg_get_wal_replay_pause_state() else 'not paused' end

-- name: reached
-- The last WAL that was replayed, and the time of the last commit in it.
select coalesce(pg_last_wal_replay_lsn(), (select checkpoint_lsn from pg_control_checkpoint()))::text as lsn,
       pg_last_xact_replay_timestamp() as last_commit,
       (select timeline_id from pg_control_checkpoint()) as timeline

-- name: databases
-- Every database that lets itself be connected to.
select datname::text from pg_database where datallowconn and not datistemplate order by 1

-- name: tables
-- How many tables a database has.
select count(*) from pg_class where relkind in ('r', 'p') and oid >= 16384

-- name: reload
-- The recovery settings were taken out of the configuration: it needs none any more.
select pg_reload_conf()
