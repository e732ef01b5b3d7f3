-- name: rights
-- Whether we may rename a database and make another beside it: ALTER DATABASE RENAME wants its owner with CREATEDB.
select pg_has_role(d.datdba, 'usage') and (r.rolsuper or r.rolcreatedb)
  from pg_database d, pg_roles r
 where d.datname = %(database)s and r.rolname = current_user

-- name: oid
-- Which database bears a name now.
select oid::bigint from pg_database where datname = %(database)s

-- name: sessions
-- Sessions that keep a database from being renamed; autovacuum gives way by itself.
select pid, coalesce(usename::text, '-'), coalesce(nullif(application_name, ''), backend_type, '-')
  from pg_stat_activity
 where datname = %(database)s and pid <> pg_backend_pid() and backend_type is distinct from 'autovacuum worker'
 order by pid

-- name: terminate
-- End them.
select count(pg_terminate_backend(pid))
  from pg_stat_activity
 where datname = %(database)s and pid <> pg_backend_pid() and backend_type is distinct from 'autovacuum worker'

-- name: bound
-- What is bound to the old database and can't come along: subscriptions that run, logical slots.
select 'subscription' as kind, subname::text as name
  from pg_subscription s join pg_database d on d.oid = s.subdbid
 where d.datname = %(database)s and s.subenabled
union all
select 'slot', slot_name::text from pg_replication_slots where database = %(database)s and slot_type = 'logical'

-- name: prepared
-- Transactions that wait for COMMIT PREPARED: they keep a database from being renamed or dropped, and hold their locks.
select gid from pg_catalog.pg_prepared_xacts where database = %(database)s order by prepared

-- name: facts
-- What a database has that its dump does not bring: owner, limit, comment, tablespace, template.
select pg_get_userbyid(d.datdba)::text as owner, d.datconnlimit as connlimit, s.spcname::text as tablespace,
       shobj_description(d.oid, 'pg_database') as comment, d.datacl is null as default_acl, d.datistemplate as template
  from pg_database d join pg_tablespace s on s.oid = d.dattablespace
 where d.datname = %(database)s

-- name: grants
-- Who may do what with it, and by whom, where not by the owner; "" is PUBLIC. The owner's grants come first.
select case when a.grantee = 0 then '' else pg_catalog.pg_get_userbyid(a.grantee)::text end, a.privilege_type,
       a.is_grantable, case when a.grantor = d.datdba then '' else pg_catalog.pg_get_userbyid(a.grantor)::text end
  from pg_catalog.pg_database d, pg_catalog.aclexplode(d.datacl) with ordinality a(grantor, grantee, privilege_type, is_grantable, number)
 where d.datname = %(database)s
 order by a.grantor <> d.datdba, a.number

-- name: superuser
-- Whether we may do everything.
select rolsuper from pg_catalog.pg_roles where rolname = current_user

-- name: labels
-- Security labels on the database.
select l.provider, l.label
  from pg_catalog.pg_shseclabel l join pg_catalog.pg_database d on d.oid = l.objoid
 where l.classoid = 'pg_catalog.pg_database'::pg_catalog.regclass and d.datname = %(database)s

-- name: settings
-- ALTER DATABASE ... SET, and ALTER ROLE ... IN DATABASE ... SET; "" is every role.
select coalesce(r.rolname::text, ''), split_part(one, '=', 1), substr(one, strpos(one, '=') + 1)
  from pg_db_role_setting s
  join pg_database d on d.oid = s.setdatabase
  left join pg_roles r on r.oid = s.setrole
  cross join unnest(s.setconfig) one
 where d.datname = %(database)s

-- name: set_aside
-- Databases that were set aside by name; the newest first.
select datname::text from pg_database
 where starts_with(datname::text, %(prefix)s) and length(datname::text) = length(%(prefix)s) + 16
 order by datname desc

-- name: unfinished
-- Databases that an interrupted restore left half made.
select d.datname::text, shobj_description(d.oid, 'pg_database')
  from pg_database d
 where starts_with(shobj_description(d.oid, 'pg_database'), 'tabsync: unfinished restore')
 order by 1
