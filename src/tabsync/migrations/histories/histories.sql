-- name: columns
-- The columns of a table by a name, which has to be a plain one: a view of that name would run its owner's code.
select c.relkind in ('r', 'p') as plain, a.attname::text as name, a.atttypid < 16384 as native
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
  join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
 where n.nspname = %(schema)s and c.relname = %(name)s

-- name: schemas
-- Where there is a table of a name; the schemas that an application usually has first.
select n.nspname::text as schema
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
 where c.relname = %(name)s and c.relkind in ('r', 'p', 'v', 'm', 'f')
   and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
 order by n.nspname <> 'public', n.nspname

-- name: locks
-- Who holds, or waits for, an advisory lock of one number, and what is known of the session.
-- https://www.postgresql.org/docs/current/view-pg-locks.html
select a.pid, l.granted, a.application_name::text as application, a.usename::text as "user", a.client_addr::text as client,
       a.state, extract(epoch from clock_timestamp() - a.backend_start)::float8 as seconds,
       extract(epoch from clock_timestamp() - a.state_change)::float8 as quiet
  from pg_locks l join pg_stat_activity a on a.pid = l.pid
 where l.locktype = 'advisory' and l.database = (select oid from pg_database where datname = current_database())
   and l.objsubid = 1 and (l.classid::bigint << 32) | l.objid::bigint = %(number)s
 order by l.granted desc, a.backend_start
