-- name: role_limit
-- How many sessions a role may have, -1 for no limit, and how many it has; by its name, or by its oid, which it keeps
-- when it is renamed. Superusers pass every limit: https://www.postgresql.org/docs/current/sql-createrole.html
select r.oid::bigint as oid, r.rolname::text as role, r.rolconnlimit as "limit", r.rolsuper as superuser,
       (select count(*) from pg_stat_activity a where a.usesysid = r.oid)::int as sessions
  from pg_roles r
 where r.rolname = %(role)s::name or r.oid = %(oid)s::oid

-- name: limit_role
-- Sets the limit; composed, since a role's name is no value.
alter role {role} connection limit {limit}

-- name: who_alters
-- Which other sessions hold the lock of a transaction that has changed roles.
-- https://www.postgresql.org/docs/current/explicit-locking.html
select a.pid, a.application_name as application, a.usename::text as "user"
  from pg_locks l
  join pg_stat_activity a on a.pid = l.pid
 where l.relation = 'pg_authid'::regclass and l.mode = 'RowExclusiveLock' and l.granted and l.pid <> pg_backend_pid()
 order by a.pid
