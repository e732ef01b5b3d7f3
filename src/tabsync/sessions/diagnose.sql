-- name: room
-- What fills the connections, and what stands in the way of new ones. Superusers pass both limits.
-- https://www.postgresql.org/docs/current/sql-createrole.html, https://www.postgresql.org/docs/current/sql-createdatabase.html
with clients as (
  select * from pg_stat_activity
   where backend_type = 'client backend' or backend_type is null and datid is not null
)
select (select count(*) from clients where state = 'active')::int as active,
       (select count(*) from clients where state = 'idle')::int as idle,
       (select count(*) from clients where state like 'idle in transaction%%')::int as in_transaction,
       (select count(*) from clients where wait_event_type = 'Lock')::int as waiting,
       (select array_agg(format('role %%I has %%s of its %%s connections', r.rolname, r.used, r.rolconnlimit) order by r.rolname)
          from (select o.rolname, o.rolconnlimit, (select count(*) from clients c where c.usesysid = o.oid) as used
                  from pg_roles o where o.rolconnlimit >= 0 and o.rolcanlogin and not o.rolsuper) r
         where r.used >= r.rolconnlimit) as roles,
       (select array_agg(format('database %%I has %%s of its %%s connections', d.datname, d.used, d.datconnlimit) order by d.datname)
          from (select b.datname, b.datconnlimit, (select count(*) from clients c where c.datid = b.oid) as used
                  from pg_database b where b.datconnlimit >= 0 and b.datallowconn) d
         where d.used >= d.datconnlimit) as databases,
       (select 'default_transaction_read_only is set for '
               || coalesce('the role ' || quote_ident(r.rolname), 'the database')
          from pg_db_role_setting s
          left join pg_roles r on r.oid = s.setrole
         where (s.setrole = 0 or r.rolname = current_user)
           and s.setdatabase in (0, (select oid from pg_database where datname = current_database()))
           and s.setconfig && array['default_transaction_read_only=on', 'default_transaction_read_only=true']
         order by r.rolname nulls first
         limit 1) as read_only,
       pg_backend_pid() as pid,
       (select backend_start::text from pg_stat_activity where pid = pg_backend_pid()) as backend_start,
       current_setting('data_directory', true) as directory
