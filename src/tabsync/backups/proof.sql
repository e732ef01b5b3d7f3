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

-- name: keys
-- How PostgreSQL itself compares the columns of each foreign key, in the key's order: with the operator of the index
-- that it points at, under the collation of the referenced column. Tables that are not partitioned stand for
-- themselves in a key, without those that inherit from them. "period": since PostgreSQL 18, the last column is a range
-- that the referenced rows must cover together.
select n.nspname::text as schema, c.relname::text as "table", k.conname::text as name,
       c.relkind = 'r' as only_table, r.relkind = 'r' as only_referenced,
       coalesce((pg_catalog.to_jsonb(k) ->> 'conperiod')::boolean, false) as period,
       array(select pg_catalog.format('OPERATOR(%%I.%%s)', o_n.nspname, o.oprname)
               from pg_catalog.unnest(k.conpfeqop) with ordinality as u(operator, place)
               join pg_catalog.pg_operator o on o.oid = u.operator
               join pg_catalog.pg_namespace o_n on o_n.oid = o.oprnamespace
              order by u.place) as operators,
       array(select coalesce((select pg_catalog.format('COLLATE %%I.%%I', l_n.nspname, l.collname)
                                from pg_catalog.pg_collation l
                                join pg_catalog.pg_namespace l_n on l_n.oid = l.collnamespace
                               where l.oid = theirs.attcollation and theirs.attcollation <> ours.attcollation), '')
               from rows from (pg_catalog.unnest(k.conkey), pg_catalog.unnest(k.confkey)) with ordinality
                      as u(own, referenced, place)
               join pg_catalog.pg_attribute ours on ours.attrelid = k.conrelid and ours.attnum = u.own
               join pg_catalog.pg_attribute theirs on theirs.attrelid = k.confrelid and theirs.attnum = u.referenced
              order by u.place) as collations
  from pg_catalog.pg_constraint k
  join pg_catalog.pg_class c on c.oid = k.conrelid
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  join pg_catalog.pg_class r on r.oid = k.confrelid
 where k.contype = 'f' and k.conparentid = 0
