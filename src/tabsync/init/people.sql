-- name: columns
-- Ordinary tables with their columns, and which of them is the whole primary key; labels: of a column of an enum type.
select n.nspname::text as schema, c.relname::text as name, a.attname::text as "column",
       format_type(coalesce(nullif(t.typbasetype, 0), t.oid), null) as type,
       coalesce(k.conkey = array[a.attnum], false) as is_key,
       array(select e.enumlabel::text from pg_enum e where e.enumtypid = t.oid order by e.enumsortorder) as labels
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
  join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
  join pg_type t on t.oid = a.atttypid
  left join pg_constraint k on k.conrelid = c.oid and k.contype = 'p'
 where c.relkind in ('r', 'p') and not c.relispartition and c.relpersistence = 'p'
   and n.nspname not in ('pg_catalog', 'information_schema') and n.nspname not like 'pg\_%%'
   and lower(c.relname) = any(%(names)s)
 order by 1, 2, a.attnum
