-- name: settings
-- What ALTER DATABASE ... SET and ALTER ROLE ... IN DATABASE ... SET gave it: people who are switched over get the other's.
select 'setting', split_part(c, '=', 1) || coalesce(' of role ' || quote_ident(pg_get_userbyid(nullif(s.setrole, 0))), ''), '',
       substr(c, strpos(c, '=') + 1)
  from pg_db_role_setting s
 cross join unnest(s.setconfig) c
 where s.setdatabase = (select d.oid from pg_database d where d.datname = current_database())

-- name: user_mappings
-- By name only: their options are passwords.
select 'user mapping', format('of %%s for server %%I', coalesce(quote_ident(u.usename), 'public'), u.srvname), '', ''
  from pg_user_mappings u
