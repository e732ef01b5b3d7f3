-- name: around
-- Since when the server runs, and who is logged in but us: a row for each role, application and address.
select s.started_at, a.role, a.application, a.address
  from (select pg_postmaster_start_time() as started_at) s
  left join (select distinct usename::text as role, application_name as application, client_addr::text as address
               from pg_stat_activity
              where backend_type = 'client backend' and application_name not like 'tabsync/%') a on true
