-- What a role lacks to read what the metrics name.

-- name: whoami
select quote_ident(current_user) as role, pg_has_role('pg_monitor', 'usage') as monitors

-- name: relations
-- Those of some names, in whatever schema of the application, and whether this role may read them.
select n.nspname::text as schema, c.relname::text as name, quote_ident(n.nspname) as quoted_schema,
       quote_ident(n.nspname) || '.' || quote_ident(c.relname) as quoted_name,
       has_schema_privilege(n.oid, 'usage') as enters, has_table_privilege(c.oid, 'select') as reads
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
 where c.relname = any (%(names)s::text[])
   and c.relkind in ('r', 'p', 'v', 'm', 'f')
   and n.nspname not in ('pg_catalog', 'information_schema')
   and n.nspname not like 'pg\_temp\_%%' and n.nspname not like 'pg\_toast%%'
 order by n.nspname, c.relname
 limit 200
