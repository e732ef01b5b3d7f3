-- name: extension
-- The schema that amcheck is installed in.
select n.nspname
  from pg_extension e join pg_namespace n on n.oid = e.extnamespace
 where e.extname = 'amcheck'

-- name: available
-- Whether amcheck could be installed here.
select exists (select from pg_available_extensions where name = 'amcheck')

-- name: functions
-- The checks that this version of amcheck has, with the number of their arguments.
select p.proname, max(p.pronargs)
  from pg_proc p join pg_namespace n on n.oid = p.pronamespace
 where n.nspname = %(schema)s and p.proname in ('bt_index_parent_check', 'gin_index_check', 'verify_heapam')
 group by 1

-- name: indexes
-- Every index that is on disk, the system's too: which of them amcheck can read is decided by its access method.
select c.oid::bigint as oid, n.nspname as schema, c.relname as name, a.amname as method,
       i.indisvalid and i.indisready as valid, pg_relation_size(c.oid) as bytes
  from pg_index i
  join pg_class c on c.oid = i.indexrelid
  join pg_am a on a.oid = c.relam
  join pg_namespace n on n.oid = c.relnamespace
 where c.relkind = 'i' and c.relpersistence <> 't'
 order by 2, 3

-- name: tables
-- Every relation whose rows are on disk, with the tables that hold its oversized values.
select c.oid::bigint as oid, n.nspname as schema, c.relname as name, a.amname as method,
       pg_relation_size(c.oid) as bytes
  from pg_class c
  join pg_am a on a.oid = c.relam
  join pg_namespace n on n.oid = c.relnamespace
 where c.relkind in ('r', 'm', 't') and c.relpersistence <> 't'
 order by 2, 3

-- name: always
-- Event triggers that fire in every session, whatever its session_replication_role.
select evtname::text from pg_catalog.pg_event_trigger where evtenabled = 'A' order by 1
