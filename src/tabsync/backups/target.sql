-- name: database
-- Whether a database exists.
select oid::bigint from pg_database where datname = %(database)s

-- name: rights
-- Whether we are superuser, and whether we may make databases.
select rolsuper, rolsuper or rolcreatedb from pg_roles where rolname = current_user

-- name: foreign_roles
-- Of some roles, those that we can't give objects to.
select rolname::text from pg_roles where rolname = any(%(roles)s::name[]) and not pg_has_role(oid, 'member')

-- name: mark
-- The comment of a database, by which an unfinished restore is known.
select shobj_description(oid, 'pg_database') from pg_database where datname = %(database)s

-- name: invalid_indexes
-- Indexes that can't be used.
select n.nspname as schema, c.relname as name
  from pg_index i join pg_class c on c.oid = i.indexrelid join pg_namespace n on n.oid = c.relnamespace
 where not (i.indisvalid and i.indisready)

-- name: relations
-- Everything that stands in pg_class under a name of its own.
select n.nspname, c.relname
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
 where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S') and n.nspname not like 'pg\_%%' and n.nspname <> 'information_schema'
