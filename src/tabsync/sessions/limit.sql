-- name: role_limit
-- How many sessions a role may have, -1 for no limit, and how many it has. Superusers pass every limit:
-- https://www.postgresql.org/docs/current/sql-createrole.html
select r.rolconnlimit as "limit", r.rolsuper as superuser,
       (select count(*) from pg_stat_activity a where a.usesysid = r.oid)::int as sessions
  from pg_roles r
 where r.rolname = %(role)s::name

-- name: limit_role
-- Sets the limit; composed, since a role's name is no value.
alter role {role} connection limit {limit}
