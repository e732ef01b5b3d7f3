-- name: standbys
-- Of each standby that is connected: how far it is, in bytes behind this server's WAL, and how long its replies took.
select coalesce(nullif(r.application_name, ''), r.client_addr::text, r.pid::text) as name,
       r.client_addr::text as address,
       r.state,
       r.sync_state,
       here.lsn::text as here,
       r.flush_lsn::text as flushed_to,
       pg_wal_lsn_diff(here.lsn, r.sent_lsn)::bigint as unsent,
       pg_wal_lsn_diff(r.sent_lsn, r.write_lsn)::bigint as unwritten,
       pg_wal_lsn_diff(r.write_lsn, r.flush_lsn)::bigint as unflushed,
       pg_wal_lsn_diff(r.flush_lsn, r.replay_lsn)::bigint as unreplayed,
       pg_wal_lsn_diff(here.lsn, r.flush_lsn)::bigint as lost,
       extract(epoch from r.write_lag)::float8 as write_seconds,
       extract(epoch from r.flush_lag)::float8 as flush_seconds,
       extract(epoch from r.replay_lag)::float8 as replay_seconds
  from pg_stat_replication r
 cross join lateral (select case when pg_is_in_recovery() then pg_last_wal_replay_lsn()
                                 else pg_current_wal_lsn() end as lsn) here
 where r.application_name is distinct from 'tabsync/wal'
 order by lost, name

-- name: slots
-- Slots of standbys that are not connected: their server keeps WAL for them.
select slot_name::text as name, active, wal_status,
       pg_wal_lsn_diff(case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_lsn() end,
                       restart_lsn)::bigint as retained
  from pg_replication_slots
 where slot_type = 'physical' and not active and restart_lsn is not null

-- name: here
-- What this server is, and whether we may see the others.
select pg_is_in_recovery() as standby, pg_has_role('pg_read_all_stats', 'usage') as sees_all

-- name: inside
-- A standby, seen from itself.
select pg_last_wal_receive_lsn()::text as received_to,
       pg_last_wal_replay_lsn()::text as replayed_to,
       pg_wal_lsn_diff(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())::bigint as unreplayed,
       pg_is_wal_replay_paused() as paused,
       extract(epoch from clock_timestamp() - pg_last_xact_replay_timestamp())::float8 as last_commit_seconds,
       (select status from pg_stat_wal_receiver) as receiver,
       (select extract(epoch from clock_timestamp() - last_msg_receipt_time)::float8 from pg_stat_wal_receiver)
         as heard_seconds,
       (select sum(confl_tablespace + confl_lock + confl_snapshot + confl_bufferpin + confl_deadlock)::bigint
          from pg_stat_database_conflicts) as conflicts,
       (select max(extract(epoch from clock_timestamp() - xact_start))::float8
          from pg_stat_activity
         where backend_type = 'client backend' and pid <> pg_backend_pid()) as oldest_query
