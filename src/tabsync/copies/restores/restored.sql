-- name: columns
-- The columns of each table that COPY reads and writes, in their order: all but the generated ones.
select n.nspname::text, c.relname::text,
       pg_catalog.array_agg(a.attname::text order by a.attnum)
  from pg_catalog.pg_class c
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  join pg_catalog.pg_attribute a on a.attrelid = c.oid
 where c.relkind = 'r' and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
 group by c.oid, 1, 2

-- name: row_values
-- Columns of tables in which values of some tables' row types are stored, directly or inside of arrays, domains,
-- ranges and other row types. The text of such a value names no columns: what it means lies in their order.
with recursive wanted as (
  select c.reltype as type, c.oid as row_of
    from pg_catalog.pg_class c
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    join rows from (pg_catalog.unnest(%(schemas)s::text[]), pg_catalog.unnest(%(names)s::text[])) as w(schema, name)
      on w.schema = n.nspname and w.name = c.relname
), made_of (part, whole) as (
  select t.typelem, t.oid from pg_catalog.pg_type t where t.typelem <> 0
  union all
  select t.typbasetype, t.oid from pg_catalog.pg_type t where t.typbasetype <> 0
  union all
  select r.rngsubtype, r.rngtypid from pg_catalog.pg_range r
  union all
  select r.rngsubtype, r.rngmultitypid from pg_catalog.pg_range r
  union all
  select a.atttypid, c.reltype
    from pg_catalog.pg_attribute a join pg_catalog.pg_class c on c.oid = a.attrelid
   where a.attnum > 0 and not a.attisdropped and c.reltype <> 0
), holding (type, row_of) as (
  select type, row_of from wanted
  union
  select m.whole, h.row_of from holding h join made_of m on m.part = h.type
)
select n.nspname::text, c.relname::text, a.attname::text, rn.nspname::text, r.relname::text
  from holding h
  join pg_catalog.pg_attribute a on a.atttypid = h.type
  join pg_catalog.pg_class c on c.oid = a.attrelid
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  join pg_catalog.pg_class r on r.oid = h.row_of
  join pg_catalog.pg_namespace rn on rn.oid = r.relnamespace
 where c.relkind = 'r' and a.attnum > 0 and not a.attisdropped
 order by 1, 2, 3

-- name: configuration
-- The tables of extensions whose rows a dump holds in part, with the condition that those rows meet ("": every row).
-- https://www.postgresql.org/docs/current/extend-extensions.html#EXTEND-EXTENSIONS-CONFIG-TABLES
select n.nspname::text, c.relname::text, coalesce(t.condition, '')
  from pg_catalog.pg_extension e
  cross join rows from (pg_catalog.unnest(e.extconfig), pg_catalog.unnest(e.extcondition)) as t(relation, condition)
  join pg_catalog.pg_class c on c.oid = t.relation
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
 where c.relkind = 'r'

-- name: relations
-- Everything that stands in pg_class under a name of its own.
select n.nspname::text, c.relname::text
  from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
 where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S') and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'

-- name: invalid_indexes
-- Indexes that can't be used; of a partitioned table: to which not every partition has one attached.
select n.nspname::text, c.relname::text
  from pg_catalog.pg_index i
  join pg_catalog.pg_class c on c.oid = i.indexrelid
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
 where not (i.indisvalid and i.indisready) and n.nspname !~ '^pg_'

-- name: things
-- What has a name, beside relations, called as pg_dump calls it: of what belongs to a table, the table's name comes first.
with spaces as (
  select oid, nspname::text as name from pg_catalog.pg_namespace
   where nspname !~ '^pg_' and nspname <> 'information_schema'
), tables as (
  select c.oid, s.name as schema, c.relname::text as name, c.relrowsecurity
    from pg_catalog.pg_class c join spaces s on s.oid = c.relnamespace
   where c.relkind in ('r', 'p', 'v', 'm', 'f')
)
select 'SCHEMA' as kind, '' as schema, name from spaces
union all
select 'EXTENSION', '', extname::text from pg_catalog.pg_extension
union all
select 'EVENT TRIGGER', '', evtname::text from pg_catalog.pg_event_trigger
union all
select 'PUBLICATION', '', pubname::text from pg_catalog.pg_publication
union all
select 'FOREIGN DATA WRAPPER', '', fdwname::text from pg_catalog.pg_foreign_data_wrapper
union all
select 'SERVER', '', srvname::text from pg_catalog.pg_foreign_server
union all
select case t.typtype when 'd' then 'DOMAIN' else 'TYPE' end, s.name, t.typname::text
  from pg_catalog.pg_type t join spaces s on s.oid = t.typnamespace
union all
select case p.prokind when 'a' then 'AGGREGATE' when 'p' then 'PROCEDURE' else 'FUNCTION' end, s.name,
       p.proname || '('
         || coalesce((select pg_catalog.string_agg(pg_catalog.format_type(u.t, null), ', ' order by u.place)
                        from pg_catalog.unnest(p.proargtypes) with ordinality as u(t, place)),
                     case p.prokind when 'a' then '*' else '' end)
         || ')'
  from pg_catalog.pg_proc p join spaces s on s.oid = p.pronamespace
union all
select 'COLLATION', s.name, c.collname::text
  from pg_catalog.pg_collation c join spaces s on s.oid = c.collnamespace
union all
select 'OPERATOR', s.name, o.oprname::text
  from pg_catalog.pg_operator o join spaces s on s.oid = o.oprnamespace
union all
select 'OPERATOR CLASS', s.name, o.opcname::text
  from pg_catalog.pg_opclass o join spaces s on s.oid = o.opcnamespace
union all
select 'TEXT SEARCH CONFIGURATION', s.name, c.cfgname::text
  from pg_catalog.pg_ts_config c join spaces s on s.oid = c.cfgnamespace
union all
select 'TEXT SEARCH DICTIONARY', s.name, d.dictname::text
  from pg_catalog.pg_ts_dict d join spaces s on s.oid = d.dictnamespace
union all
select 'STATISTICS', s.name, e.stxname::text
  from pg_catalog.pg_statistic_ext e join spaces s on s.oid = e.stxnamespace
union all
select 'INDEX', s.name, c.relname::text
  from pg_catalog.pg_class c join spaces s on s.oid = c.relnamespace where c.relkind in ('i', 'I')
union all
select 'CONSTRAINT', t.schema, t.name || ' ' || k.conname
  from pg_catalog.pg_constraint k join tables t on t.oid = k.conrelid
union all
select 'CONSTRAINT', s.name, d.typname || ' ' || k.conname
  from pg_catalog.pg_constraint k
  join pg_catalog.pg_type d on d.oid = k.contypid
  join spaces s on s.oid = d.typnamespace
union all
select 'TRIGGER', t.schema, t.name || ' ' || g.tgname from pg_catalog.pg_trigger g join tables t on t.oid = g.tgrelid
union all
select 'RULE', t.schema, t.name || ' ' || r.rulename from pg_catalog.pg_rewrite r join tables t on t.oid = r.ev_class
union all
select 'POLICY', t.schema, t.name || ' ' || p.polname from pg_catalog.pg_policy p join tables t on t.oid = p.polrelid
union all
select 'DEFAULT', t.schema, t.name || ' ' || a.attname
  from pg_catalog.pg_attrdef d
  join tables t on t.oid = d.adrelid
  join pg_catalog.pg_attribute a on a.attrelid = d.adrelid and a.attnum = d.adnum
union all
select 'ROW SECURITY', schema, name from tables where relrowsecurity

-- name: unfilled
-- Materialized views without rows of their own: REFRESH has failed, or was never asked for.
select n.nspname, c.relname
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where c.relkind = 'm' and not c.relispopulated
