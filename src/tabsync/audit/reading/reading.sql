-- name: user_type
-- Of what type the log's column of users is.
select format_type(atttypid, -1) as type from pg_attribute
 where attrelid = %(log)s::text::regclass and attname = 'user_id' and not attisdropped

-- name: newest
-- Where a reading begins, the newest first.
select coalesce(max(id), 0) as newest from {log}

-- name: newest_before
-- The same for a time that has passed: by the BRIN index on the times of a day. What a statement of more than a day wrote
-- at its end may have a higher number.
select coalesce(max(id), (select max(id) from {log})) as newest from {log}
 where created_at < %(until)s::text::timestamptz and created_at >= %(until)s::text::timestamptz - interval '1 day'

-- name: page
-- The entries of a page within a range of numbers, the newest first. columns: which of them an UPDATE changed. barrier:
-- OFFSET 0, so that the planner doesn't read the whole range in the order of the key, for a value that is rare in it.
select l.id, l.created_at::text as at, l.action::text as action, l.table_name as "table", l.entity_type::text as entity,
       l.entity_id::text as key, l.actor, l.actor_how, l.user_id::text as "user", l.db_user, l.db_role, l.app,
       l.client::text as client, l.origin, l.xid::text as transaction, l.reason,
       case when l.action = 'UPDATE' and jsonb_typeof(l.new_value::jsonb) = 'object'
            then array(select jsonb_object_keys(l.new_value::jsonb)) else '{{}}' end as columns
  from (select * from {log} as l where l.id <= %(upto)s and l.id > %(beyond)s and {which} {barrier}) as l
 order by l.id desc
 limit %(limit)s

-- name: entry
-- One entry, with its values.
select l.id, l.created_at::text as at, l.action::text as action, l.table_name as "table", l.entity_type::text as entity,
       l.entity_id::text as key, l.actor, l.actor_how, l.user_id::text as "user", l.db_user, l.db_role, l.app,
       l.client::text as client, l.origin, l.xid::text as transaction, l.reason,
       l.old_value::jsonb as old, l.new_value::jsonb as new
  from {log} as l where l.id = %(id)s

-- name: history
-- Between which entries the history of one is, as the seals have it: in another cluster, and after a recovery, transactions
-- count anew, so a number only counts within one. upto: null, it goes on.
select coalesce(max(epoch_from) filter (where epoch_from < %(id)s::bigint), 0) as beyond,
       min(epoch_from) filter (where epoch_from >= %(id)s::bigint) as upto
  from tabsync_audit.seals where rows = 0

-- name: newest_of
-- The newest entry of a transaction's number, up to another entry.
select max(l.id) as newest from {log} as l where l.xid = %(xid)s::text::xid8 and l.id <= %(upto)s::bigint

-- name: last_seal
-- Where the newest seal was made.
select cluster, timeline from tabsync_audit.seals order by n desc limit 1

-- name: same_transaction
-- What else a transaction did, by table and action.
select coalesce(l.table_name, l.entity_type::text) as "table", l.action::text as action, count(*) as entries,
       min(l.id) as first, max(l.id) as last
  from {log} as l
 where l.xid = %(xid)s::text::xid8 and l.id > %(beyond)s::bigint and l.id <= coalesce(%(upto)s::bigint, l.id)
 group by 1, 2 order by 4 limit 50

-- name: exported
-- What is exported, in the order in which it was sealed; hash: see seals.sql. old, new: as text, since that was hashed.
-- With the marks of what was masked since, whenever that was: without them it would look as if it had been forged.
select l.id, l.xid::text as transaction, l.created_at::text as at, l.user_id::text as "user", l.action::text as action,
       l.entity_type::text as entity, l.entity_id::text as key, l.old_value::jsonb::text as old,
       l.new_value::jsonb::text as new, l.origin, l.table_name as "table", l.db_user, l.db_role, l.app,
       l.client::text as client, l.actor, l.actor_how, l.reason, encode({entry}, 'hex') as hash
  from (select * from {log} where created_at >= %(since)s::text::timestamptz and created_at < %(until)s::text::timestamptz
        union all
        select e.* from {log} e
         where e.action = 'ERASE' and e.origin = 'function' and e.created_at >= %(until)s::text::timestamptz
           and exists (select from {log} o
                        where o.id = (e.new_value ->> 'id')::bigint
                          and o.created_at >= %(since)s::text::timestamptz
                          and o.created_at < %(until)s::text::timestamptz)) as l
 order by l.xid nulls first, l.id
