-- name: here
-- Which database this is, as whom we look, and how many of the connections that an ordinary user can open are used.
-- Client sessions are counted as the metric "Active connections" counts them; what the role can't see has no type.
select current_database()::text as database,
       (select oid::bigint from pg_database where datname = current_database()) as database_oid,
       current_user::text as "user",
       current_setting('server_version_num')::int as version_num,
       current_setting('server_version') as version,
       case when pg_is_in_recovery() then 'standby' else 'primary' end as role,
       has_function_privilege('pg_control_system()', 'execute') as may_read_system_identifier,
       clock_timestamp()::text as now,
       (select count(*) from pg_stat_activity
         where backend_type = 'client backend' or backend_type is null and datid is not null)::int as used,
       (select count(*) from pg_stat_activity
         where backend_type = 'client backend' and application_name like 'tabsync/%%')::int as ours,
       current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
         - coalesce(current_setting('reserved_connections', true)::int, 0) as slots,
       pg_has_role('pg_read_all_stats', 'usage') as sees_all,
       pg_has_role('pg_signal_backend', 'usage') as signals_all

-- name: system_identifier
-- What initdb gave the cluster.
select system_identifier::text from pg_control_system()

-- name: sessions
-- Each session of a client, and every other process that %(pids)s name. Times are text, so that they come back as they
-- were, to the microsecond. Of other users' sessions a role without pg_read_all_stats sees who they are, and nothing of
-- what they do: https://www.postgresql.org/docs/current/monitoring-stats.html#MONITORING-STATS-VIEWS
-- Who may signal whom: https://www.postgresql.org/docs/current/functions-admin.html#FUNCTIONS-ADMIN-SIGNAL
select a.pid,
       a.datname::text as database,
       a.usename::text as "user",
       a.application_name as application,
       coalesce(host(a.client_addr), case when a.client_port = -1 then 'local' end) as address,
       a.backend_type as type,
       a.state,
       a.wait_event_type,
       a.wait_event,
       a.backend_start::text as backend_start,
       a.state_change::text as state_change,
       extract(epoch from clock_timestamp() - a.backend_start)::float8 as seconds,
       extract(epoch from clock_timestamp() - a.state_change)::float8 as state_seconds,
       extract(epoch from clock_timestamp() - a.xact_start)::float8 as transaction_seconds,
       left(a.query, 1000) as query,
       case when a.pid = pg_backend_pid() then 'this one'
            when a.backend_type is null then 'not visible'
            when a.backend_type <> 'client backend' then a.backend_type
            when a.application_name like 'tabsync/%%' then 'tabsync'
            when a.application_name = any(%(dumps)s::text[]) then 'dump'
            when a.pid in (select pid from pg_stat_progress_create_index) then 'index build'
            else 'client' end as kind,
       case when (select rolsuper from pg_roles where rolname = current_user) then true
            when a.usesysid is null or r.rolsuper then false
            else pg_has_role('pg_signal_backend', 'usage') or pg_has_role(a.usesysid, 'usage') end as may_signal
  from pg_stat_activity a
  left join pg_roles r on r.oid = a.usesysid
 where a.backend_type = 'client backend'
    or a.backend_type is null and a.datid is not null
    or a.pid = any(%(pids)s::int[])
 order by a.pid

-- name: end_one
-- Ends one session, if this statement still finds it as it was planned. It is a transaction of its own: inside one,
-- pg_stat_activity stays as it was when it was first read. Between the look and the signal are microseconds in which the
-- session can begin a statement, or its process id can pass to another one: nothing can close them.
-- https://www.postgresql.org/docs/current/monitoring-stats.html#MONITORING-STATS-VIEWS
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
select found.is, found.state, case when found.is = 'planned' then pg_terminate_backend(%(pid)s::int) end as signalled
  from found

-- name: still_there
-- Which of some sessions have not ended yet; each is named by its process id and its start.
select a.pid
  from rows from (unnest(%(pids)s::int[]), unnest(%(starts)s::timestamptz[])) p(pid, backend_start)
  join pg_stat_activity a on a.pid = p.pid and a.backend_start = p.backend_start

-- name: alive
-- Whether the session is there.
select 1 as alive

-- name: prospects
-- What our role may do when all connections are in use. pg_use_reserved_connections exists on 16 and later.
-- https://www.postgresql.org/docs/current/runtime-config-connection.html#GUC-RESERVED-CONNECTIONS
select current_user::text as "user",
       (select rolsuper from pg_roles where rolname = current_user) as superuser,
       current_setting('superuser_reserved_connections')::int as superuser_reserved,
       coalesce(current_setting('reserved_connections', true)::int, 0) as reserved,
       coalesce((select pg_has_role(oid, 'usage') from pg_roles where rolname = 'pg_use_reserved_connections'), false)
         as uses_reserved,
       pg_has_role('pg_signal_backend', 'usage') as signals_all,
       current_setting('server_version_num')::int / 10000 as major
