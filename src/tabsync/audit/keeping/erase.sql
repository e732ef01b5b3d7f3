-- name: of_row
-- The entries of a row: by the triggers, and those that an application wrote itself, which name no table; also before the
-- install.
l.entity_id = %(key)s and (l.table_name = %(table)s or l.table_name is null and l.entity_type = %(entity)s)

-- name: values_of
-- How many entries tell of a row, and how many of them have one of the columns: of all, of those that an application wrote
-- itself, and of those from before the install. known: the columns that any of them has; the table may have lost one since.
select count(*) as entries, count(*) filter (where named) as named,
       count(*) filter (where named and by_application and sealable) as by_application,
       count(*) filter (where named and not sealable) as before_install,
       array(select c.name from unnest(%(columns)s::text[]) c(name)
              where exists (select from {log} as l where {of_row} and (l.old_value ? c.name or l.new_value ? c.name))) as known
  from (select coalesce(l.old_value ?| %(columns)s::text[], false) or coalesce(l.new_value ?| %(columns)s::text[], false) as named,
               l.table_name is null as by_application, l.xid is not null as sealable
          from {log} as l where {of_row}) as e

-- name: why
-- Lets the log's own triggers pass, which record it.
select set_config('tabsync.audit_change', %(why)s, true)

-- name: erase
-- Masks what is there, and marks each entry with the hash that it had and the one that it has, so that its seal still
-- proves the rest of it. An entry from before the install has no transaction and no seal: a mark would prove nothing.
with before as (
  select l.id, l.created_at, l.entity_type, {entry} as hash
    from {log} as l
   where {of_row}
     and (l.old_value ?| %(columns)s::text[] or l.new_value ?| %(columns)s::text[])
     for update
), masked as (
  update {log} as l
     set old_value = l.old_value || (select coalesce(jsonb_object_agg(c.name, '(erased)'), '{{}}') from unnest(%(columns)s::text[]) c(name)
                                      where l.old_value ? c.name),
         new_value = l.new_value || (select coalesce(jsonb_object_agg(c.name, '(erased)'), '{{}}') from unnest(%(columns)s::text[]) c(name)
                                      where l.new_value ? c.name)
    from before b
   where l.id = b.id and l.created_at = b.created_at
  returning l.id, l.xid, b.entity_type, b.hash as was, {entry} as hash
), marked as (
  insert into {log} (action, entity_type, entity_id, new_value, created_at, xid, origin, table_name, actor, actor_how, reason)
  select 'ERASE', m.entity_type, %(key)s,
         jsonb_build_object('id', m.id, 'was', encode(m.was, 'hex'), 'now', encode(m.hash, 'hex'), 'columns', %(columns)s::text[]),
         statement_timestamp(), pg_current_xact_id(), 'function', %(table)s, %(actor)s, 'operator', %(reason)s
    from masked m where m.was <> m.hash and m.xid is not null
   order by m.id
  returning new_value ->> 'id' as id, new_value ->> 'was' as was, new_value ->> 'now' as now
)
select count(*) filter (where was <> hash) as entries, count(*) filter (where was <> hash and xid is null) as before_install,
       (select coalesce(jsonb_agg(to_jsonb(k.*) order by k.id::bigint), '[]') from marked as k) as marks
  from masked
