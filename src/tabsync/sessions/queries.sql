-- name: waiting
-- Each session that waits for a lock: on what, since when, and which sessions it waits for; 0 is a prepared transaction.
-- Those are asked for only where something waits, since it takes the locks of the lock table itself:
-- https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-INFO-SESSION
select l.pid,
       pg_blocking_pids(l.pid) as blocked_by,
       l.mode,
       case when l.relation is not null and l.database = (select oid from pg_database where datname = current_database())
            then l.relation::regclass::text else l.locktype end as what,
       extract(epoch from clock_timestamp() - l.waitstart)::float8 as seconds
  from pg_locks l
 where not l.granted

-- name: prepared
-- Which prepared transaction each waiting session waits for: each holds the lock of its own transaction id.
-- https://www.postgresql.org/docs/current/view-pg-prepared-xacts.html
select w.pid, p.gid, p.owner::text as owner, p.database::text as database,
       extract(epoch from clock_timestamp() - p.prepared)::float8 as seconds
  from pg_locks w
  join pg_locks h on h.granted and h.pid is null and h.locktype = w.locktype
       and (h.database, h.relation, h.page, h.tuple, h.virtualxid, h.transactionid, h.classid, h.objid, h.objsubid)
           is not distinct from
           (w.database, w.relation, w.page, w.tuple, w.virtualxid, w.transactionid, w.classid, w.objid, w.objsubid)
  join pg_locks x on x.granted and x.pid is null and x.locktype = 'transactionid'
       and x.virtualtransaction = h.virtualtransaction
  join pg_prepared_xacts p on p.transaction = x.transactionid
 where not w.granted
 group by w.pid, p.gid, p.owner, p.database, p.prepared

-- name: cancel_one
-- Cancels the statement of one session, if this statement still finds it as it was planned; see end_one.
with found as materialized (
  select case when a.pid is null then 'gone'
              when a.pid = pg_backend_pid() then 'ours'
              when a.backend_start is null then 'not visible'
              when a.backend_start <> %(backend_start)s::timestamptz then 'another'
              when a.state is distinct from %(state)s::text
                or a.state_change is distinct from %(state_change)s::timestamptz then 'changed'
              else 'planned' end as is,
         a.state
    from (select 1) one
    left join pg_stat_activity a on a.pid = %(pid)s::int
)
select found.is, found.state, case when found.is = 'planned' then pg_cancel_backend(%(pid)s::int) end as signalled
  from found

-- name: still_running
-- Whether a session still runs the statement that it ran.
select a.pid
  from pg_stat_activity a
 where a.pid = %(pid)s::int
   and a.backend_start = %(backend_start)s::timestamptz
   and a.state = 'active'
   and a.state_change = %(state_change)s::timestamptz

-- name: statement_of
-- The statement that a session runs, or ran last, as far as it is kept: a longer one is cut.
-- https://www.postgresql.org/docs/current/runtime-config-statistics.html#GUC-TRACK-ACTIVITY-QUERY-SIZE
select a.pid, a.usename::text as "user", a.datname::text as database, a.state, a.query,
       a.backend_start is not null as visible,
       octet_length(a.query) >= pg_size_bytes(current_setting('track_activity_query_size')) - 1 as cut
  from pg_stat_activity a
 where a.pid = %(pid)s::int
