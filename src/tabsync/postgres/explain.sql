-- name: path
-- The search_path that a role gets in this database when it logs in: its own preset here, its own, the database's, or
-- else the server's, which is what our own session came with, unless our role has a preset.
-- https://www.postgresql.org/docs/current/catalog-pg-db-role-setting.html
select pg_catalog.set_config('search_path', coalesce(
         (select pg_catalog.substr(c.setting, 13)
            from pg_catalog.pg_db_role_setting d
           cross join pg_catalog.unnest(d.setconfig) c(setting)
           where d.setrole in (0, %(role)s::text::regrole::oid)
             and d.setdatabase in (0, (select oid from pg_catalog.pg_database where datname = current_database()))
             and c.setting like 'search\_path=%%'
           order by d.setrole = 0, d.setdatabase = 0
           limit 1),
         (select case when exists (select from pg_catalog.pg_db_role_setting d
                                    where d.setrole = session_user::regrole
                                      and pg_catalog.array_to_string(d.setconfig, chr(10)) ~ '(^|\n)search_path=')
                      then boot_val else reset_val end
            from pg_catalog.pg_settings where name = 'search_path')), true) as path

-- name: as_usual
-- What a reading transaction leaves out is a part of the plan: policies and constraints, proven like the rest.
select set_config('row_security', 'on', true), set_config('constraint_exclusion', 'partition', true)

-- name: generic
-- A prepared statement is planned without the values of its parameters.
select set_config('plan_cache_mode', 'force_generic_plan', true)
