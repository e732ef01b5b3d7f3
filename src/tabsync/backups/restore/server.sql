-- name: database
-- Whether a database exists.
select oid::bigint from pg_database where datname = %(database)s

-- name: known_settings
-- Of some settings, those that this server has.
select name from pg_catalog.pg_settings where name = any(%(names)s::text[])

-- name: template
-- Whether a database is a template: those can't be dropped.
select datistemplate from pg_catalog.pg_database where datname = %(database)s

-- name: rights
-- Whether we are superuser, and whether we may make databases.
select rolsuper, rolsuper or rolcreatedb from pg_roles where rolname = current_user

-- name: foreign_roles
-- Of some roles, those that we can't give objects to: since 16, it takes a membership WITH SET.
select rolname::text
  from pg_catalog.pg_roles
 where rolname = any(%(roles)s::name[])
   and not pg_catalog.pg_has_role(oid,
             case when pg_catalog.current_setting('server_version_num')::int4 >= 160000 then 'set' else 'member' end)

-- name: mark
-- The comment of a database, by which an unfinished restore is known.
select shobj_description(oid, 'pg_database') from pg_database where datname = %(database)s

-- name: made
-- By what a database is known to be the one that was made: its number, its comment.
select oid::bigint, shobj_description(oid, 'pg_database') from pg_database where datname = %(database)s

-- name: present
-- What an existing database has of the things that tables need, called as pg_dump calls them in a dump.
select 'SCHEMA' as kind, '' as schema, nspname::text as name from pg_namespace
union all
select 'EXTENSION', '', extname::text from pg_extension
union all
select 'PROCEDURAL LANGUAGE', '', lanname::text from pg_language
union all
select case t.typtype when 'd' then 'DOMAIN' else 'TYPE' end, n.nspname, t.typname
  from pg_type t join pg_namespace n on n.oid = t.typnamespace
union all
select case p.prokind when 'a' then 'AGGREGATE' when 'p' then 'PROCEDURE' else 'FUNCTION' end, n.nspname,
       p.proname || '('
         || array_to_string(array(select format_type(u.t, null)
                                    from unnest(p.proargtypes) with ordinality u(t, ord) order by u.ord), ', ')
         || ')'
  from pg_proc p join pg_namespace n on n.oid = p.pronamespace
union all
select case c.relkind when 'S' then 'SEQUENCE' when 'v' then 'VIEW' when 'm' then 'MATERIALIZED VIEW'
                      when 'f' then 'FOREIGN TABLE' else 'TABLE' end, n.nspname, c.relname
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
 where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
union all
select 'COLLATION', n.nspname, l.collname from pg_collation l join pg_namespace n on n.oid = l.collnamespace

-- name: lets_in
-- Whether a database takes sessions; -2 marks one whose DROP DATABASE was interrupted.
select datallowconn and datconnlimit <> -2 from pg_catalog.pg_database where datname = %(database)s
