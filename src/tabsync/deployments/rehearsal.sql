-- name: held
-- What the deployment's sessions hold that stops others: from SHARE UPDATE EXCLUSIVE on it stops at least maintenance.
-- https://www.postgresql.org/docs/current/explicit-locking.html
select l.pid, n.nspname || '.' || c.relname as "table", l.mode, l.virtualtransaction as transaction
  from pg_locks l
  join pg_class c on c.oid = l.relation
  join pg_namespace n on n.oid = c.relnamespace
  join pg_stat_activity a on a.pid = l.pid
 where l.locktype = 'relation' and l.granted and c.relkind in ('r', 'p', 'm') and n.nspname not in ('pg_catalog', 'pg_toast')
   and l.database = (select oid from pg_database where datname = current_database())
   and l.mode in ('ShareUpdateExclusiveLock', 'ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
   and a.application_name not like 'tabsync/%%'

-- name: files
-- The file of each table that holds rows, with its size: a table that is written anew has another file afterwards.
select n.nspname || '.' || c.relname as "table", pg_relation_filenode(c.oid)::bigint as file, pg_table_size(c.oid)::bigint as bytes
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
 where c.relkind in ('r', 'm') and n.nspname not in ('pg_catalog', 'information_schema') and n.nspname not like 'pg\_toast%%'
