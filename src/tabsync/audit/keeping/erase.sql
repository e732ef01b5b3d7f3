-- name: values_of
-- How many entries tell of a row, and how many of them have one of the columns.
select count(*) as entries,
       count(*) filter (where l.old_value ?| %(columns)s::text[] or l.new_value ?| %(columns)s::text[]) as named
  from {log} as l where l.table_name = %(table)s and l.entity_id = %(key)s

-- name: why
-- Lets the log's own triggers pass, which record it.
select set_config('tabsync.audit_change', %(why)s, true)

-- name: erase
-- Masks what is there, and marks each entry with the hash that it had and the one that it has, so that its seal still
-- proves the rest of it.
with before as (
  select l.id, l.created_at, l.entity_type, {entry} as hash
    from {log} as l
   where l.table_name = %(table)s and l.entity_id = %(key)s
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
  returning l.id, b.entity_type, b.hash as was, {entry} as hash
)
insert into {log} (action, entity_type, entity_id, new_value, created_at, xid, origin, table_name, actor, actor_how, reason)
select 'ERASE', m.entity_type, %(key)s,
       jsonb_build_object('id', m.id, 'was', encode(m.was, 'hex'), 'now', encode(m.hash, 'hex'), 'columns', %(columns)s::text[]),
       statement_timestamp(), pg_current_xact_id(), 'function', %(table)s, %(actor)s, 'operator', %(reason)s
  from masked m where m.was <> m.hash
 order by m.id
returning new_value ->> 'id', new_value ->> 'was', new_value ->> 'now'
