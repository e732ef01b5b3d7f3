-- What is asked of the payments. Each statement runs as a metric of the manual does: it is proven to only read, in a
-- READ ONLY transaction without row_security, under the application's search_path and within a time. The names that have
-- no schema are the application's.
--
-- The times are literals without a type and in UTC, so that they mean the same for a timestamp of either kind.

-- name: here
-- What time it is there, and what there is of that name. Names of PostgreSQL's own only.
select clock_timestamp() as at,
       (select jsonb_agg(jsonb_build_object(
                 'schema', n.nspname, 'kind', c.relkind, 'policies', c.relrowsecurity, 'rows', c.reltuples::bigint,
                 'readable', has_table_privilege(c.oid, 'select') or has_any_column_privilege(c.oid, 'select'),
                 'indexed', exists (select from pg_index i
                                      join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
                                     where i.indrelid = c.oid and i.indisvalid and i.indpred is null
                                       and a.attname = 'created_at')))
          from pg_class c join pg_namespace n on n.oid = c.relnamespace
         where c.relname = 'payments' and c.relkind in ('r', 'p', 'v', 'm', 'f')
           and n.nspname not like 'pg\_%' and n.nspname <> 'information_schema') as tables

-- name: counts
-- What was tried in a time: by gateway, method and what became of it. young: too young to say that it does not end.
select p.gateway, p.method, p.status, p.created_at >= {settled} as young, count(*) as payments,
       max(p.created_at) as latest
  from payments p
 where p.created_at >= {since} and p.created_at < {until} and {only}
 group by p.gateway, p.method, p.status, p.created_at >= {settled}

-- name: failed
-- The newest that failed, with what stands in known places of their metadata. What is large stays where it is: it would
-- be unpacked once for each place.
select p.id, p.created_at, p.gateway, p.method, p.split_payment_id as share, p.entries, {places}
  from (select f.id, f.created_at, f.gateway, f.method, f.split_payment_id, m.metadata,
               case when m.metadata is not null then (select count(*) from jsonb_object_keys(m.metadata) k) end as entries
          from (select p.id, p.created_at, p.gateway, p.method, p.split_payment_id, p.metadata
                  from payments p
                 where p.status = 'FAILED' and p.created_at >= {since} and p.created_at < {until} and {only}
                 order by p.created_at desc
                 limit {most}) f,
               lateral (select case when pg_column_size(f.metadata) <= 8192 and jsonb_typeof(f.metadata) = 'object'
                                    then f.metadata end as metadata) m
        offset 0) p

-- name: failed_bare
-- The same where the metadata can't be read.
select p.id, p.created_at, p.gateway, p.method, p.split_payment_id as share
  from payments p
 where p.status = 'FAILED' and p.created_at >= {since} and p.created_at < {until} and {only}
 order by p.created_at desc
 limit {most}

-- name: restaurants
-- Whose guests pay these shares.
select s.id as share, r.id, left(r.name, 200) as name
  from split_payments s
  join table_sessions t on t.id = s.table_session_id
  join restaurants r on r.id = t.restaurant_id
 where s.id in ({shares})

-- name: restaurant
-- The restaurant that is asked for: by its id, its slug or its name.
select r.id, left(r.name, 200) as name
  from restaurants r
 where r.id::text = {asked} or r.slug = {asked} or lower(r.name) = lower({asked})
 order by r.id
 limit 2

-- name: zone
-- By which clocks most guests live.
select r.time_zone from restaurants r where {only} group by r.time_zone order by count(*) desc, r.time_zone limit 1

-- name: this_restaurant
-- A condition of the one above.
r.id::text = {restaurant}

-- name: of_restaurant
-- A condition of the statements above.
exists (select 1 from split_payments s join table_sessions t on t.id = s.table_session_id
         where s.id = p.split_payment_id and t.restaurant_id = {restaurant})

-- name: of_gateway
-- Another one.
p.gateway = {gateway}
