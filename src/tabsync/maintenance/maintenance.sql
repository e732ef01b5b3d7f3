-- name: tables
-- What can be vacuumed and analyzed, with whether we may: its owner's role, the database's owner, and on 17 and later
-- MAINTAIN. Sizes are as of the last VACUUM: pg_relation_size() waits for a table that is locked.
-- https://www.postgresql.org/docs/current/sql-vacuum.html
select n.nspname::text as schema, c.relname::text as name, c.oid::bigint as oid, c.relkind::text as kind,
       coalesce(pg_stat_get_dead_tuples(c.oid), 0) as dead, c.relpages::bigint * current_setting('block_size')::int as bytes,
       greatest(pg_stat_get_last_vacuum_time(c.oid), pg_stat_get_last_autovacuum_time(c.oid))::text as vacuumed_at,
       pg_has_role(c.relowner, 'usage')
         or not c.relisshared and pg_has_role((select datdba from pg_database where datname = current_database()), 'usage')
         or case when current_setting('server_version_num')::int >= 170000
                 then has_table_privilege(c.oid, 'MAINTAIN') else false end as may
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
 where c.relkind in ('r', 'm', 'p')
   and c.relpersistence <> 't'
   and (%(schema)s::name is null and n.nspname <> 'information_schema'
        or n.nspname = %(schema)s::name and c.relname = %(name)s::name)
 order by dead desc, n.nspname, c.relname

-- name: holders
-- What keeps VACUUM from removing rows that are dead: whoever may still see them. Only this database's sessions count,
-- but each slot and each standby. `since` is when it had its view of the data at the latest; null: it may be new.
-- https://www.postgresql.org/docs/current/routine-vacuuming.html#VACUUM-FOR-WRAPAROUND
select 'session' as kind, a.pid::text as name, coalesce(a.application_name, '') as application, a.usename::text as "user",
       a.state, greatest(age(a.backend_xmin), age(a.backend_xid)) as transactions,
       extract(epoch from clock_timestamp() - a.xact_start)::float8 as seconds,
       case when a.state like 'idle in transaction%%' then a.state_change end::text as since
  from pg_stat_activity a
 where (a.backend_xmin is not null or a.backend_xid is not null)
   and a.datname = current_database()
   and a.pid <> pg_backend_pid()
   and a.backend_type <> 'autovacuum worker'
union all
select 'prepared transaction', p.gid, '', p.owner::text, null, age(p.transaction),
       extract(epoch from clock_timestamp() - p.prepared)::float8, p.prepared::text
  from pg_prepared_xacts p
 where p.database = current_database()
union all
select 'replication slot', s.slot_name::text, '', null, null, age(s.xmin), null, null
  from pg_replication_slots s
 where s.xmin is not null
union all
select 'standby', coalesce(nullif(r.application_name, ''), r.pid::text), '', r.usename::text, r.state,
       age(r.backend_xmin), null, null
  from pg_stat_replication r
 where r.backend_xmin is not null
 order by transactions desc

-- name: sees_all
-- Whether other users' transactions are visible to us.
select pg_has_role('pg_read_all_stats', 'usage') as sees_all

-- name: dead
-- How many dead rows a table has, as far as the statistics know.
select coalesce(pg_stat_get_dead_tuples(%(oid)s::oid), 0) as dead

-- name: vacuum
-- Composed: a table's name is no value.
vacuum {table}

-- name: vacuum_analyze
-- The same, and the planner's statistics.
vacuum (analyze) {table}

-- name: analyze
-- The planner's statistics.
analyze {table}

-- name: progress
-- How far a VACUUM, an ANALYZE or the building of an index is, of a session of ours.
select phase, done, total from (
  select pid, phase, heap_blks_scanned as done, heap_blks_total as total from pg_stat_progress_vacuum
  union all
  select pid, phase, sample_blks_scanned, sample_blks_total from pg_stat_progress_analyze
  union all
  select pid, phase, blocks_done, blocks_total from pg_stat_progress_create_index) p
 where p.pid = %(pid)s::int

-- name: indexes
-- Indexes that are invalid. Partitioned ones wait for those of their partitions.
-- https://www.postgresql.org/docs/current/sql-createindex.html#SQL-CREATEINDEX-CONCURRENTLY
-- built_by: who builds exactly this one. busy_by: who has the lock of building on its table, which VACUUM and ANALYZE take
-- too: what REINDEX CONCURRENTLY builds is then told from what an earlier one left by nothing that is visible.
-- https://www.postgresql.org/docs/current/explicit-locking.html#LOCKING-TABLES
-- base: of which index this one is a leftover by its name: REINDEX CONCURRENTLY cuts the name so that its own ending fits.
-- https://www.postgresql.org/docs/current/sql-reindex.html#SQL-REINDEX-CONCURRENTLY
select n.nspname::text as schema, c.relname::text as name, c.oid::bigint as oid, x.indrelid::regclass::text as "table",
       x.indrelid::bigint as table_oid, c.relpages::bigint * current_setting('block_size')::int as bytes, pg_get_indexdef(c.oid) as definition,
       k.conname::text as constraint_name, x.indisvalid as valid, coalesce(b.oid, 0)::bigint as base,
       coalesce((select min(p.pid) from pg_stat_progress_create_index p
                  where p.datname = current_database() and p.index_relid = c.oid), 0) as built_by,
       coalesce((select min(p.pid) from pg_stat_progress_create_index p
                  where p.datname = current_database() and p.relid = x.indrelid),
                (select min(l.pid) from pg_locks l
                  where l.relation = x.indrelid and l.mode = 'ShareUpdateExclusiveLock' and l.granted
                    and l.database = (select oid from pg_database where datname = current_database())), 0) as busy_by
  from pg_index x
  join pg_class c on c.oid = x.indexrelid
  join pg_namespace n on n.oid = c.relnamespace
  left join pg_constraint k on k.conindid = c.oid and k.contype in ('p', 'u', 'x')
  left join lateral regexp_match(c.relname, '^(.+)_(cc(?:new|old)(?:[1-9][0-9]*)?)$') m(part) on true
  left join lateral (
    select y.indexrelid as oid
      from pg_index y
      join pg_class o on o.oid = y.indexrelid
     where y.indrelid = x.indrelid and o.oid <> c.oid and o.relnamespace = c.relnamespace
       and starts_with(o.relname, m.part[1])
       and (o.relname = m.part[1]
            or octet_length(left(o.relname, length(m.part[1]) + 1)) + 1 + length(m.part[2])
               > current_setting('max_identifier_length')::int)
     order by o.relname = m.part[1] desc, o.relname ~ '_cc(new|old)[0-9]*$'
     limit 1) b on true
 where c.relkind = 'i'
   and n.nspname <> 'pg_toast'
   and (%(schema)s::name is null and not x.indisvalid
        or n.nspname = %(schema)s::name and c.relname = %(name)s::name)
 order by n.nspname, c.relname

-- name: reindex
-- Builds it anew beside the old one, without a lock that keeps others from writing.
reindex index concurrently {index}

-- name: drop
-- Drops it, waiting for nobody's writes.
drop index concurrently if exists {index}
