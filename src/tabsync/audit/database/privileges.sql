-- name: strangers
-- Who has a privilege on what is ours: default privileges (of Supabase, for one) give them to everything that is made.
-- https://www.postgresql.org/docs/current/sql-alterdefaultprivileges.html
select case c.relkind when 'S' then 'sequence' else 'table' end as kind, n.nspname::text as schema, c.relname::text as name,
       '' as arguments, coalesce(r.rolname::text, '') as role, array_agg(distinct x.privilege_type) as privileges
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
 cross join aclexplode(c.relacl) x
  left join pg_roles r on r.oid = x.grantee
 where x.grantee <> c.relowner
   and (n.nspname = 'tabsync_audit' and c.relkind in ('r', 'S') or c.oid = any(%(also)s::oid[]))
 group by 1, 2, 3, 5
union all
-- A table's REVOKE takes the privileges on its columns with it.
select 'table', n.nspname::text, c.relname::text, '', coalesce(r.rolname::text, ''), array_agg(distinct x.privilege_type)
  from pg_attribute a
  join pg_class c on c.oid = a.attrelid
  join pg_namespace n on n.oid = c.relnamespace
 cross join aclexplode(a.attacl) x
  left join pg_roles r on r.oid = x.grantee
 where x.grantee <> c.relowner and c.oid = any(%(also)s::oid[])
 group by 2, 3, 5
union all
select 'function', n.nspname::text, p.proname::text, pg_get_function_identity_arguments(p.oid),
       coalesce(r.rolname::text, ''), array_agg(distinct x.privilege_type)
  from pg_proc p
  join pg_namespace n on n.oid = p.pronamespace
 cross join aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) x
  left join pg_roles r on r.oid = x.grantee
 where x.grantee <> p.proowner and n.nspname = 'tabsync_audit'
 group by 2, 3, 4, 5
 order by 1, 2, 3, 5

-- name: revoke
-- From whom nothing is meant to be.
revoke all on {kind} {object} from {role} cascade

-- name: revoke_function
-- The same of a function.
revoke all on function {object}({arguments}) from {role} cascade
