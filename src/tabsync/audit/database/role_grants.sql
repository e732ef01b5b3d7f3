-- name: update_grants
-- Who may update the table, or columns of it, besides its owner; '' is PUBLIC. column: '' for the whole table.
select n.nspname::text as schema, c.relname::text as name, coalesce(r.rolname::text, '') as role, '' as "column",
       bool_or(x.is_grantable) as grantable
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
 cross join aclexplode(c.relacl) x
  left join pg_roles r on r.oid = x.grantee
 where c.oid = any (%(oids)s::oid[]) and x.privilege_type = 'UPDATE' and x.grantee <> c.relowner
 group by 1, 2, 3
union all
select n.nspname::text, c.relname::text, coalesce(r.rolname::text, ''), a.attname::text, bool_or(x.is_grantable)
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
  join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
 cross join aclexplode(a.attacl) x
  left join pg_roles r on r.oid = x.grantee
 where c.oid = any (%(oids)s::oid[]) and x.privilege_type = 'UPDATE' and x.grantee <> c.relowner
 group by 1, 2, 3, 4
 order by 1, 2, 3, 4

-- name: kept
-- What was found when the privilege on the role was revoked.
select value from tabsync_audit.settings where name = 'users_update'

-- name: keep
-- The same, written down; what was kept before stays.
insert into tabsync_audit.settings (name, value) values ('users_update', %(value)s)
on conflict (name) do update set value = excluded.value

-- name: forget
-- When it was given back.
delete from tabsync_audit.settings where name = 'users_update'

-- name: role_exists
-- Whether a role is still there.
select exists (select from pg_roles where rolname = %(role)s::name) as there

-- name: revoke
-- With all that was granted on from it; it takes the privileges on columns too.
revoke update on {table} from {role} cascade

-- name: grant_columns
-- UPDATE on some columns.
grant update ({columns}) on {table} to {role} {option}

-- name: grant_table
-- UPDATE on all that there are, and will be.
grant update on {table} to {role} {option}
