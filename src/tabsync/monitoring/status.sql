-- name: blockers
-- Who holds others up: sessions that block and are not blocked themselves, with everyone who waits for them.
-- pg_blocking_pids takes the lock manager's partitions for a moment, so it is asked only for sessions that wait.
with recursive waiting as materialized (
  select pid, unnest(pg_blocking_pids(pid)) as blocker
    from pg_stat_activity
   where wait_event_type = 'Lock'
), chain as (
  select w.blocker as root, w.pid as victim from waiting w where w.blocker not in (select pid from waiting)
  union
  select c.root, w.pid from chain c join waiting w on w.blocker = c.victim
)
select a.pid,
       a.usename::text as "user",
       a.application_name as application,
       a.state,
       a.backend_start,
       extract(epoch from clock_timestamp() - a.xact_start)::float8 as transaction_seconds,
       left(a.query, 200) as query,
       array_agg(distinct c.victim order by c.victim) as victims
  from chain c
  join pg_stat_activity a on a.pid = c.root
 group by a.pid, a.usename, a.application_name, a.state, a.backend_start, a.xact_start, a.query
 order by cardinality(array_agg(distinct c.victim)) desc
 limit 10

-- name: server_changes
-- What the server says of its own recent changes.
select pg_postmaster_start_time() as started_at, pg_conf_load_time() as configured_at

-- name: pending_restart
-- Settings that were changed but wait for a restart.
select count(*) from pg_settings where pending_restart
