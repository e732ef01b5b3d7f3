-- name: identity
-- Who this server is, in one row; runs as any user, on a primary and on a standby.
select current_database() as database,
       (select oid::bigint from pg_database where datname = current_database()) as database_oid,
       current_user::text as "user",
       current_setting('server_version_num')::int as version_num,
       current_setting('server_version') as version,
       pg_is_in_recovery() as standby,
       has_function_privilege('pg_control_system()', 'execute') as may_read_system_identifier

-- name: system_identifier
-- What initdb gave the cluster; a copy made by pg_basebackup shares it, a restored dump does not.
select system_identifier::text from pg_control_system()

-- name: position
-- Time and WAL position of the current snapshot.
select clock_timestamp() as "time",
       case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_insert_lsn() end::text as lsn

-- name: reached
-- Which moment of the primary's clock the data is of, and how far it reaches. On a standby that is the last commit that
-- it has replayed or, when it has replayed all that its upstream had, what that said last. Columns are read in their
-- order: what was committed by the moment lies before the position. The WAL receiver begins with one clock in both its
-- times, before its upstream has said anything.
select greatest(pg_last_xact_replay_timestamp(),
                case when pg_last_wal_replay_lsn() >= r.latest_end_lsn then r.last_msg_send_time end,
                case when not pg_is_in_recovery() then clock_timestamp() end) as "time",
       case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_insert_lsn() end::text as lsn,
       pg_is_in_recovery() as standby,
       has_function_privilege('pg_control_checkpoint()', 'execute') as may_read_checkpoint
  from (select) as one
  left join pg_stat_wal_receiver r on r.status = 'streaming' and r.last_msg_send_time <> r.last_msg_receipt_time

-- name: last_checkpoint
-- When the primary began the checkpoint that a standby would start again from.
select checkpoint_time as "time" from pg_control_checkpoint()

-- name: wal_between
-- Bytes of WAL written from one position to another.
select pg_wal_lsn_diff(%(later)s::pg_lsn, %(earlier)s::pg_lsn)::bigint

-- name: export_snapshot
-- Lets pg_dump see exactly what this transaction sees.
select pg_export_snapshot()

-- name: database
-- What a new database must be given to hold a copy of this one.
select pg_encoding_to_char(d.encoding) as encoding,
       d.datcollate as collate,
       d.datctype as ctype,
       d.datlocprovider as provider,
       coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale') as locale,
       -- what sessions begin with, ours set it to C: amounts of money are dumped as the database writes them
       (select reset_val from pg_settings where name = 'lc_monetary') as monetary,
       pg_database_size(d.oid) as bytes
  from pg_database d
 where d.datname = current_database()

-- name: tables
-- Every table that holds rows of its own, outside the system schemas; rows is the planner's estimate (-1: never analyzed).
select n.nspname as schema,
       c.relname as name,
       c.relkind::text as kind,
       c.reltuples::bigint as estimated_rows,
       c.relpages::bigint * current_setting('block_size')::bigint as bytes
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
 where c.relkind in ('r', 'm')
   and c.relpersistence <> 't'
   and n.nspname <> 'information_schema'
   and n.nspname not like 'pg\_%%'
 order by n.nspname, c.relname

-- name: with_partitions
-- A table and everything below it: partitions and children hold rows of their own.
with recursive below as (
  select c.oid
    from pg_class c
    join pg_namespace n on n.oid = c.relnamespace
   where n.nspname = %(schema)s and c.relname = %(name)s and c.relkind in ('r', 'p')
  union
  select i.inhrelid from pg_inherits i join below b on i.inhparent = b.oid
)
select n.nspname as schema, c.relname as name
  from below b
  join pg_class c on c.oid = b.oid
  join pg_namespace n on n.oid = c.relnamespace
 order by 1, 2

-- name: schemas
-- The schemas of the database, but PostgreSQL's own and those of temporary tables.
select nspname as name from pg_namespace where nspname !~ '^pg_' and nspname <> 'information_schema' order by nspname

-- name: unreadable
-- Tables that this user may not read: a dump would fail on them, so they are named beforehand.
select n.nspname as schema, c.relname as name
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
 where c.relkind in ('r', 'p', 'm', 'S')
   and c.relpersistence <> 't'
   and n.nspname <> 'information_schema'
   and n.nspname not like 'pg\_%%'
   and not exists (select from pg_depend d
                    where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
   and not (has_schema_privilege(n.oid, 'usage') and has_table_privilege(c.oid, 'select'))
 order by n.nspname, c.relname

-- name: foreign_keys
-- Every foreign key between tables that hold rows: pairs of columns in the order of the key.
-- Keys that a partition inherits are checked through the partitioned table that declares them.
select n.nspname as schema,
       c.relname as "table",
       k.conname as name,
       rn.nspname as referenced_schema,
       r.relname as referenced_table,
       k.convalidated as validated,
       (select array_agg(a.attname order by u.ord)
          from unnest(k.conkey) with ordinality u(attnum, ord)
          join pg_attribute a on a.attrelid = k.conrelid and a.attnum = u.attnum) as columns,
       (select array_agg(a.attname order by u.ord)
          from unnest(k.confkey) with ordinality u(attnum, ord)
          join pg_attribute a on a.attrelid = k.confrelid and a.attnum = u.attnum) as referenced_columns,
       k.confmatchtype::text as match
  from pg_constraint k
  join pg_class c on c.oid = k.conrelid
  join pg_namespace n on n.oid = c.relnamespace
  join pg_class r on r.oid = k.confrelid
  join pg_namespace rn on rn.oid = r.relnamespace
 where k.contype = 'f'
   and k.conparentid = 0
 order by 1, 2, 3

-- name: extensions
-- Extensions that a copy needs too.
select extname as name, extversion as version from pg_extension where extname <> 'plpgsql' order by 1

-- name: available_extensions
-- Extensions that this server could create.
select name from pg_available_extensions

-- name: roles
-- Names that grants and owners of a dump may mention.
select rolname::text as name from pg_roles where rolname not like 'pg\_%%' order by 1

-- name: tablespaces
-- Tablespaces that a copy would need; a scratch copy puts everything into its own.
select spcname::text as name from pg_tablespace where spcname not like 'pg\_%%' order by 1

-- name: enums
-- Enum types with their labels in order.
select n.nspname as schema, t.typname as name, array_agg(e.enumlabel::text order by e.enumsortorder) as labels
  from pg_type t
  join pg_namespace n on n.oid = t.typnamespace
  join pg_enum e on e.enumtypid = t.oid
 where not exists (select from pg_depend d where d.classid = 'pg_type'::regclass and d.objid = t.oid and d.deptype = 'e')
 group by 1, 2
 order by 1, 2

-- name: provider
-- Marks that managed services leave; the first that is present names the provider. A role's name alone is none, since
-- whoever may make roles may give it any: each is the service's own superuser, or a setting that came with its server.
with marks(number, provider, role, prefix) as (
  values (1, 'Supabase', 'supabase_admin', 'supabase'), (2, 'Amazon RDS', 'rdsadmin', 'rds'),
         (3, 'Google Cloud SQL', 'cloudsqladmin', 'cloudsql'),
         (4, 'Azure Database for PostgreSQL', 'azuresu', 'azure'), (5, 'Neon', 'cloud_admin', 'neon')
), found as (
  select number, provider from marks m
   where exists (select from pg_roles r where r.rolname = m.role and r.rolsuper)
      or exists (select from pg_settings s where starts_with(s.name, m.prefix || '.'))
)
select coalesce((select provider from found order by number limit 1), 'self-hosted')

-- name: key_tables
-- The tables that others point at most: what one would look at first to see whether the application's data is there.
select n.nspname as schema, c.relname as name,
       (select count(*) from pg_constraint k where k.contype = 'f' and k.confrelid = c.oid) as referenced_by
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
 where c.relkind in ('r', 'p')
   and not c.relispartition
   and c.relpersistence = 'p'
   and n.nspname <> 'information_schema'
   and n.nspname not like 'pg\_%%'
   and has_schema_privilege(n.oid, 'usage') and has_table_privilege(c.oid, 'select')
 order by referenced_by desc, c.reltuples desc, 1, 2
 limit %(limit)s

-- name: database_oid
-- Whether a database exists, and its number.
select oid::bigint from pg_catalog.pg_database where datname = %(database)s

-- name: held
-- What kind of relation a name is, and the first of some columns whose cast to text is a function that is not PostgreSQL's own
-- and not written in C: its author's code would run as whoever reads it.
select c.relkind::text as kind,
       (select a.attname::text
          from pg_attribute a
          join pg_type t on t.oid = a.atttypid
          join pg_cast k on k.castsource in (t.oid, t.typbasetype) and k.casttarget = 'text'::regtype
          join pg_proc p on p.oid = k.castfunc
          join pg_language l on l.oid = p.prolang
         where a.attrelid = c.oid and a.attname = any (%(columns)s) and not a.attisdropped and l.lanname not in ('internal', 'c')
         order by a.attnum limit 1) as "cast"
  from pg_class c where c.oid = to_regclass(%(table)s)
