-- name: around
-- Since when the server runs, and who is logged in but us: a row for each role, application and address. Moments are in
-- seconds since 1970: how dates are written is not ours to say for the whole of a session that is shared.
select s.started_at, a.role, a.application, a.address
  from (select extract(epoch from pg_postmaster_start_time())::float8 as started_at) s
  left join (select distinct usename::text as role, application_name as application, client_addr::text as address
               from pg_stat_activity
              where backend_type = 'client backend' and application_name not like 'tabsync/%') a on true

-- name: logins
-- How many sessions this database has had, since when that is counted, and how many that are there began after a moment.
select d.sessions, d.datid::text || ' ' || coalesce(extract(epoch from d.stats_reset)::text, '') as key,
       extract(epoch from clock_timestamp())::float8 as at,
       case when pg_has_role('pg_read_all_stats', 'usage')
            then (select count(*) from pg_stat_activity a
                   where a.datid = d.datid and a.backend_type = 'client backend' and a.backend_start > %(since)s)
       end as fresh
  from pg_stat_database d
 where d.datname = current_database()
