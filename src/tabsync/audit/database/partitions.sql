-- name: bounds
-- What each partition of the log takes, its bounds as the server writes them; null: without end.
select n.nspname::text as schema, c.relname::text as name, c.oid::bigint as oid,
       coalesce(pg_get_expr(c.relpartbound, c.oid) = 'DEFAULT', false) as is_default,
       (regexp_match(pg_get_expr(c.relpartbound, c.oid), $r$FROM \('([^']+)'\)$r$))[1]::timestamptz as since,
       (regexp_match(pg_get_expr(c.relpartbound, c.oid), $r$TO \('([^']+)'\)$r$))[1]::timestamptz as until,
       c.relpages::bigint * current_setting('block_size')::int as bytes, c.reltuples::bigint as estimated_rows
  from pg_inherits i
  join pg_class c on c.oid = i.inhrelid
  join pg_namespace n on n.oid = c.relnamespace
 where i.inhparent = (select p.oid from pg_class p join pg_namespace m on m.oid = p.relnamespace
                       where m.nspname = %(schema)s::name and p.relname = %(name)s::name)
 order by since nulls first, until

-- name: name_taken
-- Whether anything in a schema has a name already: indexes and sequences share it with tables.
select exists (select from pg_class c join pg_namespace n on n.oid = c.relnamespace
                where n.nspname = %(schema)s::name and c.relname = %(name)s::name) as taken
