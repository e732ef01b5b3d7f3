-- name: table
-- A table by its name, its key in order, and its columns. Without a primary key: a unique index that is not partial and
-- has only columns that are NOT NULL.
select c.oid::bigint as oid, c.relkind::text as kind, r.rolname::text as owner, c.relispartition as is_partition,
       coalesce((select array_agg(a.attname::text order by k.place)
                   from pg_index i
                  cross join unnest(i.indkey::int2[]) with ordinality k(attnum, place)
                   join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum
                  where k.place <= i.indnkeyatts
                    and i.indexrelid = (select x.indexrelid
                                          from pg_index x
                                         where x.indrelid = c.oid and x.indisunique and x.indisvalid and x.indimmediate
                                           and x.indpred is null and x.indexprs is null
                                           and not exists (select from unnest(x.indkey::int2[]) u(attnum)
                                                             join pg_attribute n on n.attrelid = c.oid and n.attnum = u.attnum
                                                            where not n.attnotnull)
                                         order by x.indisprimary desc, x.indnkeyatts, x.indexrelid
                                         limit 1)), '{}') as keys,
       (select array_agg(a.attname::text order by a.attnum)
          from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped) as columns
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
  join pg_roles r on r.oid = c.relowner
 where n.nspname = %(schema)s::name and c.relname = %(name)s::name and c.relkind in ('r', 'p')

-- name: made_of
-- The generated columns of a table that are made of some others: in 15 the column itself depends on them, and its
-- expression since. https://www.postgresql.org/docs/current/ddl-generated-columns.html
select distinct g.attname::text as name
  from pg_attribute g
  left join pg_attrdef e on e.adrelid = g.attrelid and e.adnum = g.attnum
  join pg_depend d on d.classid = 'pg_attrdef'::regclass and d.objid = e.oid
                   or d.classid = 'pg_class'::regclass and d.objid = g.attrelid and d.objsubid = g.attnum
  join pg_attribute s on d.refclassid = 'pg_class'::regclass and d.refobjid = s.attrelid and d.refobjsubid = s.attnum
 where g.attrelid = %(oid)s::oid and g.attgenerated <> '' and s.attrelid = g.attrelid and s.attnum <> g.attnum
   and s.attname = any (%(names)s::name[])
 order by 1

-- name: has_json
-- Whether a column may have values of type json, in an array or another type too: jsonb doesn't take all of them.
with recursive used(oid) as (
  select a.atttypid from pg_attribute a where a.attrelid = %(oid)s::oid and a.attnum > 0 and not a.attisdropped
  union
  select u.oid
    from used
    join pg_type y on y.oid = used.oid
   cross join lateral (select y.typelem union all select y.typbasetype
                       union all select x.atttypid from pg_attribute x where x.attrelid = y.typrelid and x.attnum > 0
                                                                         and not x.attisdropped) u(oid)
   where u.oid <> 0)
select exists (select from used where oid = 'json'::regtype) as has_json

-- name: parts
-- A table, and of a partitioned one its partitions: statements may name them directly.
select n.nspname::text as schema, c.relname::text as name
  from pg_class whole
  join pg_namespace named on named.oid = whole.relnamespace
 cross join lateral (select whole.oid union select relid from pg_partition_tree(whole.oid::regclass)) tree(oid)
  join pg_class c on c.oid = tree.oid and c.relkind in ('r', 'p')
  join pg_namespace n on n.oid = c.relnamespace
 where named.nspname = %(schema)s::name and whole.relname = %(name)s::name and whole.relkind in ('r', 'p')
 order by c.oid = whole.oid desc, 1, 2

-- name: columns
-- The columns of the log, with their types.
select a.attname::text as name, format_type(a.atttypid, a.atttypmod) as type, a.attnotnull as not_null,
       a.attidentity::text as identity, a.attgenerated::text as generated, d.oid is not null as has_default,
       t.typtype = 'd' or a.atttypid >= 16384 as own_type
  from pg_attribute a
  join pg_type t on t.oid = a.atttypid
  left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
 where a.attrelid = %(oid)s::oid and a.attnum > 0 and not a.attisdropped
 order by a.attnum

-- name: dependents
-- What of others' depends on the log, and would stay behind with its first partition; and what of the log calls a
-- function that somebody may replace: it would run as the log's owner.
-- https://www.postgresql.org/docs/current/catalog-pg-depend.html
select distinct case d.classid
         when 'pg_rewrite'::regclass then 'view or rule'
         when 'pg_constraint'::regclass then 'foreign key'
         when 'pg_trigger'::regclass then 'trigger'
         when 'pg_policy'::regclass then 'policy'
         when 'pg_proc'::regclass then 'function'
         when 'pg_publication_rel'::regclass then 'publication'
         else 'object' end as kind,
       case d.classid
         when 'pg_rewrite'::regclass then (select w.ev_class::regclass::text from pg_rewrite w where w.oid = d.objid)
         else pg_describe_object(d.classid, d.objid, d.objsubid) end as name
  from pg_depend d
 where d.refclassid = 'pg_class'::regclass
   and d.refobjid in (%(oid)s::oid, (select reltype from pg_class where oid = %(oid)s::oid))
   and (d.classid in ('pg_rewrite'::regclass, 'pg_policy'::regclass, 'pg_proc'::regclass, 'pg_publication_rel'::regclass)
        or d.classid = 'pg_trigger'::regclass
           and exists (select from pg_trigger t where t.oid = d.objid and not t.tgisinternal and t.tgname <> all (%(own)s))
        or d.classid = 'pg_constraint'::regclass
           and exists (select from pg_constraint k where k.oid = d.objid and k.contype = 'f'))
union all
select 'inheritance', i.inhrelid::regclass::text from pg_inherits i where i.inhparent = %(oid)s::oid and %(plain)s
union all
select 'inheritance', i.inhparent::regclass::text from pg_inherits i where i.inhrelid = %(oid)s::oid
union all
select 'unique index', i.indexrelid::regclass::text
  from pg_index i
 where i.indrelid = %(oid)s::oid and i.indisunique and not i.indisprimary and %(plain)s
   and not exists (select from unnest(i.indkey::int2[]) u(attnum)
                     join pg_attribute a on a.attrelid = i.indrelid and a.attnum = u.attnum where a.attname = 'created_at')
union all
select 'function', pg_describe_object(d.refclassid, d.refobjid, 0)
  from pg_depend d
 where d.refclassid = 'pg_proc'::regclass
   and (d.classid = 'pg_attrdef'::regclass and d.objid in (select oid from pg_attrdef where adrelid = %(oid)s::oid)
        or d.classid = 'pg_constraint'::regclass and d.objid in (select oid from pg_constraint where conrelid = %(oid)s::oid)
        or d.classid = 'pg_class'::regclass and d.objid in (select indexrelid from pg_index where indrelid = %(oid)s::oid))
 order by 1, 2

-- name: members
-- Who has the privileges of a role without being a superuser.
select r.rolname::text as role from pg_roles r
 where not r.rolsuper and r.rolname <> %(role)s::name and pg_has_role(r.oid, %(role)s::name, 'member')
 order by 1

-- name: casts
-- A cast to json of a user's type runs as the log's owner when a row with it is recorded. Only a superuser makes functions
-- in C (13; 12 is internal).
select c.castsource::regtype::text as type, c.castfunc::regprocedure::text as function
  from pg_cast c
  join pg_proc p on p.oid = c.castfunc
 where c.casttarget = 'json'::regtype and c.castsource >= 16384 and p.prolang not in (12, 13)
 order by 1

-- name: sequence
-- Where the log's ids come from: the sequence of its column, however it belongs to it.
select s.oid::bigint as oid, n.nspname::text as schema, s.relname::text as name, a.attidentity::text as identity
  from pg_attribute a
  left join pg_attrdef f on f.adrelid = a.attrelid and f.adnum = a.attnum
  join pg_depend d on d.refclassid = 'pg_class'::regclass and d.refobjid = a.attrelid and d.refobjsubid = a.attnum
                      and d.classid = 'pg_class'::regclass and d.deptype in ('a', 'i')
                   or d.classid = 'pg_attrdef'::regclass and d.objid = f.oid and d.refclassid = 'pg_class'::regclass
  join pg_class s on s.oid = case when d.classid = 'pg_class'::regclass then d.objid else d.refobjid end and s.relkind = 'S'
  join pg_namespace n on n.oid = s.relnamespace
 where a.attrelid = %(oid)s::oid and a.attname = 'id'
 limit 1

-- name: privileges
-- Who may read the log and write to it, by the table or by a column; 0 is PUBLIC.
select coalesce(r.rolname::text, '') as role, x.privilege_type as privilege, '' as "column", x.is_grantable as grantable
  from pg_class c
 cross join aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) x
  left join pg_roles r on r.oid = x.grantee
 where c.oid = %(oid)s::oid
union all
select coalesce(r.rolname::text, ''), x.privilege_type, a.attname::text, x.is_grantable
  from pg_attribute a
 cross join aclexplode(a.attacl) x
  left join pg_roles r on r.oid = x.grantee
 where a.attrelid = %(oid)s::oid and a.attnum > 0 and not a.attisdropped
 order by 1, 2, 3

-- name: partitions
-- The partitions of the log: until when each goes, and whether it is the one for all else.
select n.nspname::text as schema, c.relname::text as name, c.oid::bigint as oid,
       pg_get_expr(c.relpartbound, c.oid) as bound, pg_get_expr(c.relpartbound, c.oid) = 'DEFAULT' as is_default,
       c.relpages::bigint * current_setting('block_size')::int as bytes, c.reltuples::bigint as estimated_rows
  from pg_inherits i
  join pg_class c on c.oid = i.inhrelid
  join pg_namespace n on n.oid = c.relnamespace
 where i.inhparent = %(oid)s::oid
 order by 5, 4

-- name: indexes
-- The indexes of the log's table, with what each is, so that its partitions' are like it.
select i.indexrelid::bigint as oid, c.relname::text as name, n.nspname::text as schema, i.indisprimary as is_primary,
       i.indisvalid as valid, i.indisunique as is_unique, k.conname::text as constraint_name,
       (select array_agg(a.attname::text order by u.place)
          from unnest(i.indkey::int2[]) with ordinality u(attnum, place)
          join pg_attribute a on a.attrelid = i.indrelid and a.attnum = u.attnum) as columns
  from pg_index i
  join pg_class c on c.oid = i.indexrelid
  join pg_namespace n on n.oid = c.relnamespace
  left join pg_constraint k on k.conindid = i.indexrelid and k.contype in ('p', 'u', 'x') and k.conrelid = i.indrelid
 where i.indrelid = %(oid)s::oid
 order by c.relname

-- name: checks
-- The conditions of the log's table, but ours.
select conname::text as name, pg_get_constraintdef(oid) as definition, convalidated as valid
  from pg_constraint where conrelid = %(oid)s::oid and contype = 'c' order by conname

-- name: partition_key
-- By what a log that is partitioned already is.
select pg_get_partkeydef(%(oid)s::oid) as key

-- name: may_alter
-- Whether we may do what only an owner may: by being the owner, a member of it, or a superuser.
select pg_has_role(c.relowner, 'usage') as may
  from pg_class c where c.oid = %(oid)s::oid

-- name: schema_owner
-- Who may drop whatever is in the schema, whoever owns that.
-- https://www.postgresql.org/docs/current/sql-droptable.html
select r.rolname::text as owner, r.rolsuper as superuser
  from pg_namespace n join pg_roles r on r.oid = n.nspowner where n.nspname = %(schema)s::name

-- name: children
-- Tables that inherit from a plain one: its triggers see their rows only in its own columns, and only through it.
select i.inhrelid::regclass::text as name
  from pg_inherits i join pg_class p on p.oid = i.inhparent
 where p.oid = %(oid)s::oid and p.relkind = 'r'

-- name: unaudited
-- The tables beside the audited ones, partitions by their parent.
select n.nspname::text as schema, c.relname::text as name
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
 where c.relkind in ('r', 'p') and not c.relispartition and c.relpersistence <> 't'
   and n.nspname = any(%(schemas)s::name[])
 order by 1, 2
