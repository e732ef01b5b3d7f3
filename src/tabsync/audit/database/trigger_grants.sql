-- name: grants
-- Who may create triggers on tables besides their owner; '' is PUBLIC.
select n.nspname::text as schema, c.relname::text as name, coalesce(r.rolname::text, '') as role,
       bool_or(x.is_grantable) as grantable
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
 cross join aclexplode(c.relacl) x
  left join pg_roles r on r.oid = x.grantee
 where (n.nspname, c.relname) in (select a.schema, a.name from unnest(%(schemas)s::name[], %(names)s::name[]) a(schema, name))
   and c.relkind in ('r', 'p') and x.privilege_type = 'TRIGGER' and x.grantee <> c.relowner
 group by 1, 2, 3
 order by 1, 2, 3

-- name: strangers
-- Triggers whose function belongs to somebody who neither owns the table nor is a superuser.
select n.nspname::text as schema, c.relname::text as name, t.tgname::text as trigger, r.rolname::text as owner
  from pg_trigger t
  join pg_class c on c.oid = t.tgrelid
  join pg_namespace n on n.oid = c.relnamespace
  join pg_proc p on p.oid = t.tgfoid
  join pg_namespace f on f.oid = p.pronamespace
  join pg_roles r on r.oid = p.proowner
 where (n.nspname, c.relname) in (select a.schema, a.name from unnest(%(schemas)s::name[], %(names)s::name[]) a(schema, name))
   and c.relkind in ('r', 'p') and not t.tgisinternal and f.nspname <> 'tabsync_audit'
   and p.proowner <> c.relowner and not r.rolsuper
 order by 1, 2, 3

-- name: kept
-- What was revoked so far.
select value from tabsync_audit.settings where name = 'trigger_grants'

-- name: keep
-- The same, written down.
insert into tabsync_audit.settings (name, value) values ('trigger_grants', %(value)s)
on conflict (name) do update set value = excluded.value

-- name: forget
-- When it was given back.
delete from tabsync_audit.settings where name = 'trigger_grants'

-- name: role_exists
-- Whether a role is still there.
select exists (select from pg_roles where rolname = %(role)s::name) as there

-- name: revoke
-- With all that was granted on from it.
revoke trigger on {table} from {role} cascade

-- name: grant
-- As before.
grant trigger on {table} to {role} {option}
