-- name: names
-- What follows is PostgreSQL's own, whatever the database has under the same names.
select pg_catalog.set_config('search_path', 'pg_catalog', false)

-- name: marked
-- What the database says of itself, which limits would be reached before the server's, and who else is on the server.
select d.datname::text as database,
       shobj_description(d.oid, 'pg_database') as comment,
       has_function_privilege('pg_control_system()', 'execute') as may_read,
       current_user::text as "user",
       greatest(d.datconnlimit, r.rolconnlimit) >= 0 as limited,
       array(select o.datname::text
               from pg_database o
              where not o.datistemplate and o.datallowconn and o.datname not in ('postgres', d.datname)
                and shobj_description(o.oid, 'pg_database') is distinct from shobj_description(d.oid, 'pg_database')
              order by 1) as others
  from pg_database d, pg_roles r
 where d.datname = current_database() and r.rolname = current_user

-- name: system_identifier
-- What initdb gave the cluster.
select system_identifier::text from pg_control_system()
