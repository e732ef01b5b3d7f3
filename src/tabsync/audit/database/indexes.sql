-- name: there
-- The indexes of the partitioned log; one is valid once each partition has its own.
select i.indexrelid::bigint as oid, n.nspname::text as schema, c.relname::text as name, m.amname::text as method,
       i.indisvalid as valid, i.indpred is not null as partial,
       (select array_agg(a.attname::text order by u.place)
          from unnest(i.indkey::int2[]) with ordinality u(attnum, place)
          join pg_attribute a on a.attrelid = i.indrelid and a.attnum = u.attnum) as columns
  from pg_index i
  join pg_class c on c.oid = i.indexrelid
  join pg_am m on m.oid = c.relam
  join pg_namespace n on n.oid = c.relnamespace
 where i.indrelid = %(oid)s::oid
 order by i.indisvalid desc, c.relname

-- name: without
-- The partitions that have no index that belongs to one of the log's.
select n.nspname::text as schema, c.relname::text as name
  from pg_inherits p
  join pg_class c on c.oid = p.inhrelid
  join pg_namespace n on n.oid = c.relnamespace
 where p.inhparent = %(log)s::oid
   and not exists (select from pg_inherits x join pg_index k on k.indexrelid = x.inhrelid
                    where x.inhparent = %(index)s::oid and k.indrelid = c.oid)
 order by c.relname

-- name: on_parent
-- It holds nothing yet, so writers wait for an instant only.
create index {name} on only {table} {what}

-- name: drop
-- By its name, which nothing else has.
drop index concurrently if exists {index}

-- name: build
-- Beside the writers.
create index concurrently {name} on {table} {what}

-- name: attach
-- Reads no row.
alter index {parent} attach partition {index}
