-- name: room
-- What fills the connections.
with clients as (
  select * from pg_stat_activity
   where backend_type = 'client backend' or backend_type is null and datid is not null
)
select (select count(*) from clients where state = 'active')::int as active,
       (select count(*) from clients where state = 'idle')::int as idle,
       (select count(*) from clients where state like 'idle in transaction%%')::int as in_transaction,
       (select count(*) from clients where wait_event_type = 'Lock')::int as waiting,
       (select count(*) from clients where state = 'disabled')::int as untracked,
       pg_backend_pid() as pid,
       (select backend_start::text from pg_stat_activity where pid = pg_backend_pid()) as backend_start,
       current_setting('data_directory', true) as directory,
       has_table_privilege('pg_file_settings', 'select') and has_function_privilege('pg_show_all_file_settings()', 'execute')
         as may_read_files

-- name: limits
-- Which roles and databases have as many connections as they may have; ours does not count: it got in. Superusers pass
-- both limits: https://www.postgresql.org/docs/current/sql-createrole.html,
-- https://www.postgresql.org/docs/current/sql-createdatabase.html
with clients as (
  select usesysid, datid from pg_stat_activity
   where (backend_type = 'client backend' or backend_type is null and datid is not null) and pid <> pg_backend_pid()
), limited as (
  select 'role' as kind, o.rolname::text as name, o.rolconnlimit as "limit", o.rolname = current_user as ours,
         (select count(*) from clients c where c.usesysid = o.oid)::int as used
    from pg_roles o
   where o.rolconnlimit >= 0 and o.rolcanlogin and not o.rolsuper
  union all
  select 'database', b.datname::text, b.datconnlimit, b.datname = current_database(),
         (select count(*) from clients c where c.datid = b.oid)::int
    from pg_database b
   where b.datconnlimit >= 0 and b.datallowconn
)
select kind, name, used, "limit", ours from limited where used >= "limit" order by kind, name

-- name: read_only
-- Where default_transaction_read_only is preset: null stands for all roles, and for all databases.
-- https://www.postgresql.org/docs/current/catalog-pg-db-role-setting.html
select r.rolname::text as role, d.datname::text as database, split_part(c.setting, '=', 2)::boolean as is_on,
       r.rolname = current_user as ours
  from pg_db_role_setting s
 cross join unnest(s.setconfig) c(setting)
  left join pg_roles r on r.oid = s.setrole
  left join pg_database d on d.oid = s.setdatabase
 where split_part(c.setting, '=', 1) = 'default_transaction_read_only'
   and (s.setrole = 0 or r.rolcanlogin)
   and (s.setdatabase = 0 or d.datname = current_database())
 order by s.setrole, s.setdatabase

-- name: read_only_in_files
-- What the server's files say of it. What our own session has is no answer: it sets this itself.
-- https://www.postgresql.org/docs/current/view-pg-file-settings.html
select f.setting::boolean as is_on, f.sourcefile as file
  from pg_file_settings f
 where f.name = 'default_transaction_read_only' and f.applied
 order by f.seqno desc
 limit 1
