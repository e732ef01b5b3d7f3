-- name: columns
-- The columns of a table by a name, which has to be a plain one: a view of that name would run its owner's code, and a
-- partition of it may be a table of another server.
select c.relkind = 'r' as plain, a.attname::text as name, a.atttypid < 16384 as native
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
-- Who holds, or waits for, an advisory lock of one number, and what is known of the session. busy: other sessions of the
-- same client that run a statement, as some tools lock in one session and migrate in another.
-- https://www.postgresql.org/docs/current/view-pg-locks.html
select a.pid, l.granted, a.application_name::text as application, a.usename::text as "user", a.client_addr::text as client,
       a.state, a.wait_event_type::text as waits, extract(epoch from clock_timestamp() - a.backend_start)::float8 as seconds,
       extract(epoch from clock_timestamp() - a.xact_start)::float8 as transaction,
       extract(epoch from clock_timestamp() - a.state_change)::float8 as quiet,
       extract(epoch from clock_timestamp() - l.waitstart)::float8 as waiting,
       (select count(*) from pg_stat_activity o
         where o.pid not in (a.pid, pg_backend_pid()) and o.datid = a.datid and o.usename = a.usename and o.state = 'active'
           and o.application_name = a.application_name and o.client_addr is not distinct from a.client_addr
           and o.wait_event is distinct from 'advisory') as busy
  from pg_locks l join pg_stat_activity a on a.pid = l.pid
 where l.locktype = 'advisory' and l.database = (select oid from pg_database where datname = current_database())
   and l.objsubid = 1 and (l.classid::bigint << 32) | l.objid::bigint = %(number)s
 order by l.granted desc, a.backend_start

-- name: writers
-- Who has written the table of a history and not committed: all that one sees of a tool that takes no lock.
select distinct on (a.pid) a.pid, l.granted, a.application_name::text as application, a.usename::text as "user",
       a.client_addr::text as client, a.state, a.wait_event_type::text as waits,
       extract(epoch from clock_timestamp() - a.backend_start)::float8 as seconds,
       extract(epoch from clock_timestamp() - a.xact_start)::float8 as transaction,
       extract(epoch from clock_timestamp() - a.state_change)::float8 as quiet,
       extract(epoch from clock_timestamp() - l.waitstart)::float8 as waiting, 0 as busy
  from pg_locks l
  join pg_stat_activity a on a.pid = l.pid
  join pg_class c on c.oid = l.relation
  join pg_namespace n on n.oid = c.relnamespace
 where l.locktype = 'relation' and l.database = (select oid from pg_database where datname = current_database())
   and n.nspname = %(schema)s and c.relname = %(name)s and a.pid <> pg_backend_pid()
   and l.mode in ('RowExclusiveLock', 'ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
 order by a.pid, l.granted

-- name: named
-- Whether there is a table in one schema.
select exists (select from pg_class c join pg_namespace n on n.oid = c.relnamespace
                where n.nspname = %(schema)s and c.relname = %(name)s and c.relkind in ('r', 'p')) as there
