-- name: guard
-- Whoever runs a deployment under guard holds this lock: a second one waits, or is refused.
select pg_try_advisory_lock(%(number)s::bigint)

-- name: guarded
-- Who holds it.
select a.pid, a.application_name as application, extract(epoch from clock_timestamp() - a.backend_start)::float8 as seconds
  from pg_locks l
  join pg_stat_activity a on a.pid = l.pid
 where l.locktype = 'advisory' and l.granted and l.objsubid = 1
   and l.database = (select oid from pg_database where datname = current_database())
   and (l.classid::bigint << 32 | l.objid::bigint) = %(number)s::bigint
 order by a.backend_start

-- name: in_the_way
-- Who holds a lock on some tables, or on any table of the application's where none are named, in a transaction that has been
-- open for longer than some seconds; prepared transactions too. A migration that changes them waits behind it, and whoever
-- comes after the migration waits behind that. https://www.postgresql.org/docs/current/explicit-locking.html
with held as (
  select l.pid, l.virtualtransaction, min(c.oid::regclass::text) as "table", count(distinct c.oid)::int as tables,
         bool_or(l.mode not in ('AccessShareLock', 'RowShareLock')) as writes
    from pg_locks l
    join pg_class c on c.oid = l.relation
    join pg_namespace n on n.oid = c.relnamespace
   where l.locktype = 'relation' and l.granted
     and l.database = (select oid from pg_database where datname = current_database())
     and c.relkind in ('r', 'p', 'm')
     and case when %(tables)s::text[] is null then n.nspname not in ('pg_catalog', 'information_schema', 'tabsync_audit')
              else n.nspname || '.' || c.relname = any (%(tables)s::text[]) end
   group by l.pid, l.virtualtransaction)
select a.pid, a.application_name as application, a.usename::text as "user", a.state, a.backend_type as type, h."table", h.tables,
       h.writes, extract(epoch from clock_timestamp() - a.xact_start)::float8 as seconds, a.xact_start::text as since, '' as prepared
  from held h
  join pg_stat_activity a on a.pid = h.pid
 where a.pid <> pg_backend_pid() and a.xact_start < clock_timestamp() - make_interval(secs => %(older)s::float8)
union all
select null, null, p.owner::text, 'prepared', null, h."table", h.tables, h.writes,
       extract(epoch from clock_timestamp() - p.prepared)::float8, p.prepared::text, p.gid
  from pg_prepared_xacts p
  join held h on h.pid is null and h.virtualtransaction = '-1/' || p.transaction::text
 where p.database = current_database()
 order by seconds desc

-- name: replicas
-- Standbys: which ones a commit waits for, and how far each is behind.
select r.application_name as name, r.state, r.sync_state, extract(epoch from r.replay_lag)::float8 as seconds,
       pg_wal_lsn_diff(case when pg_is_in_recovery() then null else pg_current_wal_lsn() end, r.replay_lsn)::float8 as bytes
  from pg_stat_replication r
 order by 1

-- name: waits_for_standbys
-- Whether a commit waits for standbys at all.
select current_setting('synchronous_standby_names') <> ''
       and current_setting('synchronous_commit') not in ('off', 'local') as waits

-- name: sessions
-- The sessions of a deployment: from the ports of its processes, or by the application's name that it was given.
select a.pid, a.client_port, a.backend_start::text as backend_start, a.application_name as application, a.state,
       a.wait_event_type = 'Lock' as waits, a.wait_event = 'SyncRep' as for_standby, left(a.query, 300) as query,
       extract(epoch from clock_timestamp() - a.query_start)::float8 as seconds,
       case when a.wait_event_type = 'Lock' then pg_blocking_pids(a.pid) else '{}' end as blocked_by
  from pg_stat_activity a
 where a.datname = current_database() and a.backend_type = 'client backend' and a.pid <> pg_backend_pid()
   and (a.client_port = any (%(ports)s::int[]) and a.client_addr is not distinct from inet_client_addr()
        or a.application_name = nullif(%(name)s, ''))
   and a.backend_start >= %(since)s::timestamptz

-- name: behind
-- Who waits for them, and since when.
select count(distinct w.pid)::int as count, max(w.seconds)::float8 as seconds, coalesce(array_agg(distinct b.pid), '{}') as blockers
  from (select a.pid, extract(epoch from clock_timestamp() - a.query_start) as seconds, pg_blocking_pids(a.pid) as blocked_by
          from pg_stat_activity a
         where a.wait_event_type = 'Lock' and a.pid <> all (%(pids)s::int[])) w
  join unnest(%(pids)s::int[]) b(pid) on b.pid = any (w.blocked_by)

-- name: blockers
-- Who they wait for.
select a.pid, a.application_name as application, a.state, extract(epoch from clock_timestamp() - a.xact_start)::float8 as seconds
  from pg_stat_activity a
 where a.pid = any (%(pids)s::int[])
 order by a.xact_start

-- name: cancel
-- Cancels what a session runs, if it is the one that was seen.
select pg_cancel_backend(a.pid)
  from pg_stat_activity a
 where a.pid = %(pid)s::int and a.backend_start = %(backend_start)s::timestamptz

-- name: tables_named
-- The tables of some names, and those of which a name is an index.
select distinct n.nspname || '.' || c.relname as name
  from unnest(%(schemas)s::text[], %(names)s::text[]) a(schema, name)
  join pg_class k on k.relname = a.name
  join pg_namespace kn on kn.oid = k.relnamespace
                      and kn.nspname = any (case when a.schema = '' then %(path)s::text[] else array[a.schema] end)
  left join pg_index i on i.indexrelid = k.oid
  join pg_class c on c.oid = coalesce(i.indrelid, k.oid)
  join pg_namespace n on n.oid = c.relnamespace
 where c.relkind in ('r', 'p', 'm') and n.nspname not in ('pg_catalog', 'information_schema')
 order by 1

-- name: now
-- The server's time.
select clock_timestamp()::text

-- name: kind
-- What a relation is: only a table is read. A view of that name would run its owner's functions as us.
select c.relkind::text as kind
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
 where n.nspname = %(schema)s and c.relname = %(name)s

-- name: hold
-- So that nothing else gets its name meanwhile.
lock table {table} in access share mode

-- name: one_row
-- That a table can be read: a lock that was left would keep everybody from it. ONLY: a table that inherits is another one.
select exists (select from only {table})

-- name: shape
-- The application's tables, columns, constraints, types, labels and functions, by the transactions that wrote them last.
with own as (
  select n.oid from pg_namespace n
   where n.nspname not in ('pg_catalog', 'information_schema', 'tabsync_audit') and n.nspname not like 'pg\_%%'
), written as (
  select 'table' as kind, c.oid, 0 as part, c.xmin::text as xid from pg_class c where c.relnamespace in (select oid from own)
  union all
  select 'column', a.attrelid, a.attnum, a.xmin::text
    from pg_attribute a join pg_class c on c.oid = a.attrelid
   where c.relnamespace in (select oid from own) and a.attnum > 0
  union all
  select 'constraint', k.oid, 0, k.xmin::text from pg_constraint k where k.connamespace in (select oid from own)
  union all
  select 'type', t.oid, 0, t.xmin::text from pg_type t where t.typnamespace in (select oid from own)
  union all
  select 'label', e.oid, 0, e.xmin::text
    from pg_enum e join pg_type t on t.oid = e.enumtypid where t.typnamespace in (select oid from own)
  union all
  select 'function', p.oid, 0, p.xmin::text from pg_proc p where p.pronamespace in (select oid from own))
select count(*) || ' ' || coalesce(sum(hashtext(kind || ' ' || oid || ' ' || part || ' ' || xid)::bigint), 0) as shape from written

-- name: relations
-- How many relations there are that are not PostgreSQL's own.
select count(*) as relations from pg_class c where c.oid >= 16384 and c.relkind in ('r', 'p', 'v', 'm', 'f', 'i', 'I', 'S')
