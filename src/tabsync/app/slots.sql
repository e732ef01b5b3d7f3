-- name: slots
-- How many of the connections that an ordinary user can open are used; what the role can't see has no type.
-- https://www.postgresql.org/docs/current/runtime-config-connection.html
select current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
         - coalesce(current_setting('reserved_connections', true)::int, 0) as slots,
       (select count(*) from pg_stat_activity
         where backend_type = 'client backend' or backend_type is null and datid is not null)::int as used

-- name: place
-- Which database this is, and whether it takes what an application writes.
select current_database()::text as database,
       pg_is_in_recovery() as standby,
       current_setting('server_version') as version
