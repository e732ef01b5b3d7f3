-- slots
-- How many of the connections for ordinary roles are in use:
-- https://www.postgresql.org/docs/current/runtime-config-connection.html
select current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
         - coalesce(current_setting('reserved_connections', true)::int, 0) as slots,
       (select count(*) from pg_stat_activity where backend_type = 'client backend') as used

-- place
-- Whether it takes what the application writes.
select current_database() as database, pg_is_in_recovery() as standby, current_setting('server_version') as version
