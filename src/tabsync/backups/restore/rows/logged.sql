-- name: audited
-- How a table is recorded, and since when without a break, where an install of now has noted that.
select key_columns, secret_columns, must,
       (select (s.value ->> %(table)s::text)::timestamptz::text from tabsync_audit.settings s where s.name = 'recorded') as since
  from tabsync_audit.tables
 where schema_name = %(schema)s::name and table_name = %(name)s::name

-- name: hiding
-- The tables that have columns whose values never reach the log.
select schema_name, table_name from tabsync_audit.tables where secret_columns <> '{}'

-- name: begins
-- Since when there are entries of changes; NULL where there is none.
select (select created_at from {log} where xid is not null order by xid, id limit 1)::text as begins

-- name: gaps
-- How many changes could not be recorded, and when the last was.
select g.last_value as gaps, to_timestamp(t.last_value)::text as last,
       to_timestamp(t.last_value) >= %(moment)s::text::timestamptz as later
  from tabsync_audit.gaps as g, tabsync_audit.last_gap as t

-- name: chosen
-- The table of the entries that count: of each row those that are to be undone. mine: whether this is by whom was asked.
create temporary table {entries} (key text not null, id bigint not null, xid xid8 not null, action text not null, old jsonb,
  at timestamptz not null, mine boolean not null) on commit drop

-- name: of_deleted
-- Rows that were deleted, each with what the same transaction had done to it before: the image of a DELETE is not the
-- state before it. The last DELETE of a row counts. In another cluster transactions count anew, so one is only looked for
-- among the entries since the history of the DELETE began, as the seals have it.
with found as materialized (
  select l.entity_id::text as key, max(l.id) as id
    from {log} as l
   where l.table_name = %(table)s and l.origin = 'trigger' and l.action in ('DELETE', 'TRUNCATE')
     and l.old_value is not null and {keys} and {by}
   group by l.entity_id),
last as materialized (
  select f.key, f.id, l.xid,
         (select coalesce(max(s.epoch_from), 0) from tabsync_audit.seals as s
           where s.rows = 0 and s.epoch_from < f.id) as beyond
    from found as f join {log} as l on l.id = f.id
   where %(anybody)s or not exists (
         select from {log} as o
          where o.table_name = %(table)s and o.origin = 'trigger' and o.action in ('DELETE', 'TRUNCATE')
            and o.entity_id = f.key and o.id > f.id))
insert into {entries}
select l.entity_id::text, l.id, l.xid, l.action::text, l.old_value::jsonb, l.created_at, true
  from {log} as l join last as d on d.xid = l.xid and d.key = l.entity_id
 where l.xid = any (array(select distinct xid from last)) and l.table_name = %(table)s and l.origin = 'trigger'
   and l.id <= d.id and l.id > d.beyond

-- name: of_transaction
-- What one transaction did: the newest of that number.
with begins as materialized (
  select coalesce(max(s.epoch_from), 0) as beyond from tabsync_audit.seals as s
   where s.rows = 0 and s.epoch_from < (select max(l.id) from {log} as l where l.xid = %(xid)s::text::xid8))
insert into {entries}
select l.entity_id::text, l.id, l.xid, l.action::text, l.old_value::jsonb, l.created_at, {by}
  from {log} as l
 where l.xid = %(xid)s::text::xid8 and l.table_name = %(table)s and l.origin = 'trigger' and l.entity_id <> '' and {keys}
   and l.id > (select beyond from begins)

-- name: of_transactions
-- What the transactions that took the rows of another table did to this one; of each row the last of them counts.
with found as materialized (
  select l.entity_id::text as key, l.id, l.xid, l.action::text as action, l.old_value::jsonb as old, l.created_at as at
    from {log} as l
   where l.xid = any (%(xids)s::text[]::xid8[]) and l.table_name = %(table)s and l.origin = 'trigger' and l.entity_id <> ''
     and l.id > (select coalesce(max(s.epoch_from), 0) from tabsync_audit.seals as s
                  where s.rows = 0 and s.epoch_from < %(newest)s))
insert into {entries}
select f.key, f.id, f.xid, f.action, f.old, f.at, true
  from found as f
  join (select distinct on (key) key, xid from found order by key, id desc) as last using (key, xid)

-- name: of_later
-- All that came later than a moment. A transaction counts as a whole: it is later when one of its entries is.
with late as materialized (
  select l.xid, min(l.id) as first from {log} as l
   where l.created_at > %(moment)s::text::timestamptz and l.origin = 'trigger'
   group by l.xid)
insert into {entries}
select l.entity_id::text, l.id, l.xid, l.action::text, l.old_value::jsonb, l.created_at, {by}
  from {log} as l
 where l.created_at > %(moment)s::text::timestamptz and l.table_name = %(table)s and l.origin = 'trigger'
   and l.entity_id <> '' and {keys}
union all
select l.entity_id::text, l.id, l.xid, l.action::text, l.old_value::jsonb, l.created_at, {by}
  from {log} as l
 where l.xid >= (select min(xid) from late) and l.xid in (select xid from late)
   and l.id > (select coalesce(max(s.epoch_from), 0) from tabsync_audit.seals as s
                where s.rows = 0 and s.epoch_from < (select min(first) from late))
   and l.created_at <= %(moment)s::text::timestamptz and l.table_name = %(table)s and l.origin = 'trigger'
   and l.entity_id <> '' and {keys}

-- name: images
-- What each row was: the image of the first entry that is no UPDATE, over it the old values of the updates before, the
-- earliest last; without such an entry the row is there still, and only these values are put over it. A row that came in
-- by the first entry wasn't there.
create temporary table {images} on commit drop as
with first as (
  select key, max(id) as newest, min(id) filter (where action <> 'UPDATE') as base, bool_or(mine) as mine, max(at) as at, max(xid) as xid
    from {entries} group by key),
over as (
  select e.key, jsonb_object_agg(o.key, o.value order by e.id desc) as old
    from {entries} as e join first as f on f.key = e.key cross join lateral jsonb_each(e.old) as o
   where e.action = 'UPDATE' and (f.base is null or e.id < f.base)
   group by e.key)
select row_number() over (order by f.key) as n, f.key, coalesce(b.old, '{{}}') || coalesce(o.old, '{{}}') as image,
       f.base is null as there, f.xid, f.at, f.newest
  from first as f
  left join {entries} as b on b.id = f.base
  left join over as o on o.key = f.key
 where f.mine and b.action is distinct from 'INSERT'

-- name: made
-- How many rows came in by what is undone: they stay.
select count(distinct key) as made from {entries} as e
 where e.action = 'INSERT' and not exists (select from {images} as i where i.key = e.key)
   and not exists (select from {entries} as o where o.key = e.key and o.id < e.id and o.action <> 'UPDATE')

-- name: truncated
-- What a TRUNCATE took beyond the bound up to which it is recorded.
select l.created_at::text as at, coalesce((l.new_value::jsonb ->> 'rows')::bigint,
       (l.new_value::jsonb ->> 'estimated_rows')::bigint, 0) as rows, coalesce(l.new_value::jsonb ->> 'why', '') as why
  from {log} as l
 where l.table_name = %(table)s and l.origin = 'trigger' and l.action = 'TRUNCATE' and l.entity_id = ''
   and l.new_value::jsonb ->> 'kept' = 'false'
   and (%(moment)s::text is null or l.created_at > %(moment)s::text::timestamptz)
   and (%(xids)s::text[] is null or l.xid = any (%(xids)s::text[]::xid8[]))
 order by l.id desc limit 3

-- name: unjoined
-- How many rows have entries since a moment that do not follow on each other: what a column became in one is not what it
-- was before the next, so something in between was not recorded.
select count(distinct j.key) as rows
  from (select l.entity_id::text as key, l.created_at as at, l.action::text as action, k.before,
               lag(k.after) over w as last, lag(1) over w as has_last
          from {log} as l
         cross join lateral (
               select coalesce(o.key, n.key) as name, o.value as before, n.value as after
                 from jsonb_each(coalesce(l.old_value::jsonb, '{{}}')) as o
                 full join jsonb_each(coalesce(l.new_value::jsonb, '{{}}')) as n on n.key = o.key) as k
         where l.table_name = %(table)s and l.origin = 'trigger' and l.entity_id in (select i.key from {images} as i)
        window w as (partition by l.entity_id, k.name order by l.id)) as j
 where j.has_last = 1 and j.at > %(moment)s::text::timestamptz and j.action in ('UPDATE', 'DELETE')
   and j.last is not null and j.before is not null and j.last <> j.before

-- name: fields
-- Which columns the images have: in how many of the rows that are gone, and how often masked, there or gone.
select k.key as name, count(*) filter (where not i.there) as given,
       count(*) filter (where (k.value in ('"(secret)"', '"(erased)"') or k.value ? '(not recorded)') and not i.there) as masked,
       count(*) filter (where (k.value in ('"(secret)"', '"(erased)"') or k.value ? '(not recorded)') and i.there) as masked_there,
       count(*) filter (where k.value = 'null' and not i.there) as nulls,
       count(*) filter (where k.value = '0' and not i.there) as zeros,
       count(*) filter (where not i.there and case when jsonb_typeof(k.value) = 'array'
                                                   then jsonb_path_exists(k.value, '$.** ? (@ == null)') end) as nulls_within,
       count(*) filter (where k.value <> 'null' and not i.there) as values,
       count(*) filter (where i.there) as changed_there
  from {images} as i cross join lateral jsonb_each(i.image) as k
 group by k.key

-- name: totals
select count(*) filter (where not there) as gone, count(*) filter (where there) as there, max(at)::text as last,
       array(select distinct xid::text from {images}) as xids
  from {images}

-- name: written_otherwise
-- Columns of a type that has a cast to json, of an extension or the owner's own: the log has what the cast made of a value
-- (of an hstore an object), which the type does not read. Also behind a domain, and as an array's elements.
-- https://www.postgresql.org/docs/current/functions-json.html#FUNCTIONS-JSON-CREATION-TABLE
with recursive behind(name, type) as (
  select a.attname::text, a.atttypid
    from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
   where n.nspname = %(schema)s and c.relname = %(name)s and a.attnum > 0 and not a.attisdropped
  union
  select b.name, u.oid
    from behind b join pg_type t on t.oid = b.type
   cross join lateral (select t.typbasetype where t.typbasetype <> 0
                       union all select t.typelem where t.typelem <> 0
                       union all select f.atttypid from pg_attribute f
                                  where t.typrelid <> 0 and f.attrelid = t.typrelid and f.attnum > 0 and not f.attisdropped) u(oid))
select distinct b.name from behind b
  join pg_cast k on k.castsource = b.type and k.casttarget = 'json'::regtype and k.castfunc <> 0
 where b.type >= 16384

-- name: missing_values
-- What a column that came by ALTER TABLE ... ADD COLUMN has in the rows of before.
select a.attname::text as name, (a.attmissingval::text::text[])[1] as value
  from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
 where n.nspname = %(schema)s and c.relname = %(name)s and a.attnum > 0 and not a.attisdropped and a.atthasmissing

-- name: xids_of
-- The transactions that took the rows that a condition has chosen.
select array(select distinct i.xid::text from {rows} as r join {images} as i on i.n = r.{number}) as xids,
       (select max(i.newest) from {rows} as r join {images} as i on i.n = r.{number}) as newest

-- name: fill
-- The images as rows, and of those that are there still the values that they have now, with what is undone over them.
insert into {rows} ({columns}, {number})
select {columns}, {number} from (
  select {of_image}, i.n as {number}
    from {images} as i
   cross join lateral pg_catalog.jsonb_populate_record(null::{rows}, {defaults} operator(pg_catalog.||) (i.image operator(pg_catalog.-) {masked})) as r
   where not i.there
  union all
  select {of_row}, i.n
    from {images} as i
   cross join lateral pg_catalog.jsonb_populate_record(null::{rows}, {key}) as k
    join {table} as t on {pairs}
   cross join lateral pg_catalog.jsonb_populate_record(row({of_table}, null)::{rows}, i.image operator(pg_catalog.-) {masked}) as r
   where i.there
) as {name} where (
