-- name: who
-- What the current user is, and whether a service's own extension of rights may let it do more than PostgreSQL itself.
select r.rolsuper as superuser, r.rolbypassrls as bypasses_rls,
       exists (select from pg_catalog.pg_settings s
                where s.name ~ '^(rds|azure|cloudsql|alloydb|neon|supautils|extwlist|pgtle|aiven|crunchy)\.')
       or exists (select from pg_catalog.pg_roles a
                   where a.rolname in ('rds_superuser', 'cloudsqlsuperuser', 'alloydbsuperuser', 'azure_pg_admin',
                                       'neon_superuser', 'supabase_admin', 'doadmin', 'avnadmin')
                     and (pg_catalog.pg_has_role(a.oid, 'member') or a.rolname = 'supabase_admin')) as managed
  from pg_catalog.pg_roles r
 where r.rolname = current_user

-- name: untrusted_extensions
-- Extensions that only a superuser may create, in the version that CREATE EXTENSION takes.
select a.name::text
  from pg_catalog.pg_available_extensions a
  join pg_catalog.pg_available_extension_versions v on v.name = a.name and v.version = a.default_version
 where v.superuser and not v.trusted

-- name: trusted_languages
-- Languages that anybody may write functions in.
select lanname::text from pg_catalog.pg_language where lanpltrusted

-- name: superuser_settings
-- Settings that a function of ours may not set.
select name from pg_catalog.pg_settings
 where context = 'superuser' and not pg_catalog.has_parameter_privilege(name, 'set')

-- name: inherited_roles
-- Roles whose rights are ours.
select rolname::text from pg_catalog.pg_roles where pg_catalog.pg_has_role(oid, 'usage')

-- name: usable_tablespaces
-- Tablespaces in which we may make things.
select spcname::text from pg_catalog.pg_tablespace where pg_catalog.has_tablespace_privilege(oid, 'create')

-- name: hidden_large_objects
-- Large objects that a dump by this user would fail on: pg_read_all_data does not cover them.
select pg_catalog.count(*), pg_catalog.min(m.oid::pg_catalog.int8)
  from pg_catalog.pg_largeobject_metadata m
 where not exists (select from pg_catalog.aclexplode(coalesce(m.lomacl, pg_catalog.acldefault('L', m.lomowner))) a
                    where a.privilege_type = 'SELECT'
                      and (a.grantee = 0 or pg_catalog.pg_has_role(a.grantee, 'usage')))
   and not (select rolsuper from pg_catalog.pg_roles where rolname = current_user)

-- name: hidden_rows
-- Tables of which row-level security would hide rows from this user: pg_dump fails on them.
select n.nspname::text, c.relname::text
  from pg_catalog.pg_class c
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
 where c.relkind in ('r', 'p') and c.relrowsecurity and pg_catalog.row_security_active(c.oid)
 order by 1, 2
