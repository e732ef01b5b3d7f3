-- name: lock_holders
-- Everybody with a top role, locked in the order of the keys as the guarded functions lock them: two that take one away
-- wait for each other. https://www.postgresql.org/docs/current/explicit-locking.html#LOCKING-ROWS
select from {users} u where u.{role}::text = any (%(top)s) order by u.{key} for no key update

-- name: in_use
-- How many accounts with each top role are in use.
select u.{role}::text, count(*) from {users} u
 where u.{role}::text = any (%(top)s) and {off} is not true
 group by 1

-- name: may_enter
-- Whether this role may write an entry of the audit log with all that it says, as its owner or as a superuser may.
select has_table_privilege(to_regclass(%(log)s), 'insert')

-- name: entry
-- That somebody came back with a role, like the entries of tabsync user create-super-admin.
insert into {log} (action, entity_type, entity_id, new_value, created_at, origin, table_name, actor, actor_how, reason)
select 'ROLE_CHANGE', {entity}, r.key, pg_catalog.jsonb_build_object('role', r.role), pg_catalog.statement_timestamp(),
       'function', {table}, {actor}, 'restore rows', {reason}
  from unnest({keys}::text[], {roles}::text[]) as r(key, role)
