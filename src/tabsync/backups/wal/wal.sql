-- name: slot
-- A slot, how much WAL the server keeps for it, and whether it has lost any.
select slot_name::text as name,
       slot_type::text as type,
       active,
       active_pid,
       restart_lsn::text as restart_lsn,
       wal_status::text as wal_status,
       pg_wal_lsn_diff(case when pg_is_in_recovery() then greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())
                            else pg_current_wal_lsn() end,
                       restart_lsn)::bigint as retained_bytes
  from pg_replication_slots
 where slot_name = %(slot)s

-- name: create_slot
-- From here on the server keeps WAL until it was received.
select lsn::text as lsn from pg_create_physical_replication_slot(%(slot)s, true)

-- name: sees_receivers
-- Whether this user is shown how far a receiver has come, even its own.
select pg_has_role('pg_read_all_stats', 'usage')

-- name: drop_slot
-- Lets go of the WAL that the slot kept.
select pg_drop_replication_slot(%(slot)s)

-- name: advance
-- What was received to its end and stored, the server needn't keep for the slot.
select pg_replication_slot_advance(slot_name, %(lsn)s)
  from pg_replication_slots
 where slot_name = %(slot)s and not active and restart_lsn < %(lsn)s

-- name: progress
-- How far the WAL reaches, what was committed by which moment being before that; on which timeline; and how far the
-- slot's receiver has written it. A standby knows what its upstream said last or, when that isn't to be seen, what it
-- has replayed. The WAL receiver begins with one clock in both its times, before its upstream has said anything.
select case when not pg_is_in_recovery() then clock_timestamp()
            else coalesce(r.last_msg_send_time,
                          greatest(pg_last_xact_replay_timestamp(), (select checkpoint_time from pg_control_checkpoint())))
       end as "time",
       pg_size_bytes(current_setting('wal_segment_size')) as segment_size,
       case when pg_is_in_recovery()
            then greatest((select timeline_id from pg_control_checkpoint()),
                          (select min_recovery_end_timeline from pg_control_recovery()),
                          r.received_tli)
            else ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int end as timeline,
       case when not pg_is_in_recovery() then pg_current_wal_insert_lsn()
            else coalesce(r.latest_end_lsn, pg_last_wal_replay_lsn()) end::text as lsn,
       (select w.write_lsn::text
          from pg_replication_slots s
          join pg_stat_replication w on w.pid = s.active_pid
         where s.slot_name = %(slot)s) as written_lsn
  from (select) as one
  left join pg_stat_wal_receiver r on r.status = 'streaming' and r.last_msg_send_time <> r.last_msg_receipt_time

-- name: server
-- Where the server's WAL ends now, on which timeline, and what its own archiver says.
select clock_timestamp() as "time",
       pg_size_bytes(current_setting('wal_segment_size')) as segment_size,
       case when pg_is_in_recovery()
            then greatest((select timeline_id from pg_control_checkpoint()),
                          (select min_recovery_end_timeline from pg_control_recovery()),
                          (select received_tli from pg_stat_wal_receiver))
            else ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int end as timeline,
       (case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_lsn() end)::text as lsn,
       current_setting('archive_mode') as archive_mode,
       (select failed_count from pg_stat_archiver) as archive_failures,
       (select last_failed_wal from pg_stat_archiver) as last_failed_wal,
       (select last_failed_time > coalesce(last_archived_time, '-infinity') from pg_stat_archiver) as archive_failing
