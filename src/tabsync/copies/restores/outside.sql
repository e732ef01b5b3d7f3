-- name: event_triggers
-- Event triggers that fire.
select evtname::text from pg_catalog.pg_event_trigger where evtenabled <> 'D' order by 1

-- name: switch
-- Whether a scheduler's table has the column that turns a job on and off.
select 1
  from pg_catalog.pg_class c
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  join pg_catalog.pg_attribute a on a.attrelid = c.oid
 where n.nspname = %(schema)s and c.relname = %(table)s and c.relkind = 'r' and a.attname = %(column)s
   and a.atttypid = 'pg_catalog.bool'::pg_catalog.regtype and not a.attisdropped
   and pg_catalog.has_table_privilege(c.oid, 'update')

-- name: without_triggers
-- For this transaction, where we are superuser: a trigger on a job table may act.
select pg_catalog.set_config('session_replication_role', 'replica', true)
 where (select rolsuper from pg_catalog.pg_roles where rolname = current_user)
