-- name: identities
-- Of each thing of a list: its row in the catalog; how long ago it was made and last written, in transactions; its exact name.
-- The columns of a table, above all its hidden ones, are not written again with it: the oldest tells since when it is there.
-- So do the rows that say what a thing depends on, as its schema: GRANT and ALTER write the thing's own again, not those.
-- What is older than 2^31 transactions has a negative age.
with asked as (
  select a.* from unnest(%(kinds)s::text[], %(schemas)s::text[], %(names)s::text[], %(parts)s::text[]) with ordinality
         a(kind, schema, name, part, n)
), placed as (
  select a.*, s.oid as sch, c.oid as rel, t.oid as typ,
         case when a.kind in ('unnamed index', 'unnamed constraint') then a.part::jsonb end as asked_for
    from asked a
    left join pg_namespace s on s.nspname = a.schema
    left join pg_class c on c.relnamespace = s.oid and c.relname = a.name
    left join pg_type t on t.typnamespace = s.oid and t.typname = a.name
)
select p.n, i.oid::bigint as oid, i.sub, i.letter, i.name,
       greatest(case when i.age < 0 then 2147483647 else i.age end,
                (select max(case when age(d.xmin) < 0 then 2147483647 else age(d.xmin) end) from pg_depend d
                  where d.classid = case p.kind when 'function' then 'pg_proc' when 'type' then 'pg_type' when 'trigger' then 'pg_trigger'
                                                when 'policy' then 'pg_policy' when 'rule' then 'pg_rewrite' when 'constraint' then 'pg_constraint'
                                                when 'unnamed constraint' then 'pg_constraint' when 'statistics' then 'pg_statistic_ext'
                                                when 'relation' then 'pg_class' when 'index' then 'pg_class' when 'unnamed index' then 'pg_class'
                                    end::regclass
                    and d.objid = i.oid and d.objsubid = 0)) as age,
       case when i.written < 0 then 2147483647 else i.written end as written
  from placed p left join lateral (
    select c.oid, 0 as sub, c.relkind::text as letter, c.relname::text as name,
           (select max(case when age(f.xmin) < 0 then 2147483647 else age(f.xmin) end) from pg_attribute f where f.attrelid = c.oid) as age, age(c.xmin) as written
      from pg_class c where p.kind in ('relation', 'index') and c.oid = p.rel
    union all
    select t.oid, 0, t.typtype::text, t.typname::text, age(t.xmin), age(t.xmin) from pg_type t where p.kind = 'type' and t.oid = p.typ
    union all
    select n.oid, 0, '', n.nspname::text, age(n.xmin), age(n.xmin) from pg_namespace n where p.kind = 'schema' and n.nspname = p.name
    union all
    select e.oid, 0, '', e.extname::text, age(e.xmin), age(e.xmin) from pg_extension e where p.kind = 'extension' and e.extname = p.name
    union all
    select e.oid, 0, '', e.pubname::text, age(e.xmin), age(e.xmin) from pg_publication e where p.kind = 'publication' and e.pubname = p.name
    union all
    select e.oid, 0, '', e.stxname::text, age(e.xmin), age(e.xmin) from pg_statistic_ext e
     where p.kind = 'statistics' and e.stxnamespace = p.sch and e.stxname = p.name
    union all
    select f.attrelid, f.attnum, '', f.attname::text,
           case when p.kind = 'column' and age(f.xmin) >= 0  -- those behind it were added later
                then (select max(case when age(b.xmin) < 0 then 2147483647 else age(b.xmin) end)
                        from pg_attribute b where b.attrelid = f.attrelid and b.attnum >= f.attnum)
                else age(f.xmin) end, age(f.xmin)
      from pg_attribute f
     where p.kind in ('column', 'not null', 'identity') and f.attrelid = p.rel and f.attname = p.part and not f.attisdropped
    union all
    select k.oid, 0, k.contype::text, k.conname::text, age(k.xmin), age(k.xmin) from pg_constraint k
     where p.kind = 'constraint' and k.conrelid = p.rel and k.conname = p.part
    union all
    select g.oid, 0, '', g.tgname::text, age(g.xmin), age(g.xmin) from pg_trigger g
     where p.kind = 'trigger' and g.tgrelid = p.rel and g.tgname = p.part
    union all
    select o.oid, 0, '', o.polname::text, age(o.xmin), age(o.xmin) from pg_policy o
     where p.kind = 'policy' and o.polrelid = p.rel and o.polname = p.part
    union all
    select o.oid, 0, '', o.rulename::text, age(o.xmin), age(o.xmin) from pg_rewrite o
     where p.kind = 'rule' and o.ev_class = p.rel and o.rulename = p.part
    union all
    select e.oid, 0, '', e.enumlabel::text, age(e.xmin), age(e.xmin) from pg_enum e
     where p.kind = 'label' and e.enumtypid = p.typ and e.enumlabel = p.part
    union all
    select c.oid, 0, i.inhparent::regclass::text, c.relname::text, age(i.xmin), age(i.xmin) from pg_class c join pg_inherits i on i.inhrelid = c.oid
     where p.kind = 'partition' and c.oid = p.rel
    union all
    select f.oid, 0, f.prokind::text, f.oid::regprocedure::text, age(f.xmin), age(f.xmin) from pg_proc f
     where p.kind = 'function' and f.pronamespace = p.sch and f.proname = p.name
    union all
    select x.oid, 0, 'i', x.relname::text, age(i.xmin), age(i.xmin)
      from pg_index i join pg_class x on x.oid = i.indexrelid join pg_am m on m.oid = x.relam
     where p.kind = 'unnamed index' and i.indrelid = p.rel and i.indexprs is null and i.indpred is null and m.amname = 'btree'
       and i.indisunique = (p.asked_for->>0 = 'unique')
       and not exists (select from pg_constraint k where k.conindid = x.oid)
       and (select jsonb_agg(a.attname::text order by k.o) from unnest(i.indkey::int2[]) with ordinality k(n, o)
              join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.n) = p.asked_for - 0
    union all
    select k.oid, 0, k.contype::text, k.conname::text, age(k.xmin), age(k.xmin) from pg_constraint k
     where p.kind = 'unnamed constraint' and k.conrelid = p.rel and k.contype = left(p.asked_for->>0, 1)
       and (select jsonb_agg(a.attname::text order by c.o) from unnest(k.conkey) with ordinality c(n, o)
              join pg_attribute a on a.attrelid = k.conrelid and a.attnum = c.n) = p.asked_for - 0
  ) i on true
 order by p.n, i.age

-- name: created
-- How long ago, in transactions, the table of the history was created, and the newest of it and its indexes; null without any.
select max(c.age) filter (where not c.index)::bigint as age, case when bool_or(c.index) then min(c.age) end::bigint as newest
  from (select f.attrelid <> %(table)s::text::regclass as index,
               max(case when age(f.xmin) < 0 then 2147483647 else age(f.xmin) end) as age
          from pg_attribute f
         where f.attrelid = %(table)s::text::regclass
            or f.attrelid in (select i.indexrelid from pg_index i where i.indrelid = %(table)s::text::regclass)
         group by f.attrelid) c

-- name: wrapped
-- Whether so many transactions were begun that the age of a row, which counts to 2^32, may be that of a later one.
select pg_snapshot_xmax(pg_current_snapshot())::text::numeric >= 4294967296 as wrapped

-- name: bytes
-- What a table takes on disk.
select pg_total_relation_size(%(table)s::text::regclass) as bytes

-- name: columns
-- The columns of a table that hold values of their own, and which of them are its primary key.
select f.attname::text as name,
       coalesce((select f.attnum = any (k.conkey) from pg_constraint k where k.conrelid = f.attrelid and k.contype = 'p'), false) as key
  from pg_attribute f
 where f.attrelid = %(table)s::text::regclass and f.attnum > 0 and not f.attisdropped and f.attgenerated = ''
 order by f.attnum

-- name: lock
-- The guard's and the tool's own, so that no deployment runs meanwhile.
select pg_try_advisory_lock(%(number)s::bigint) as free

-- name: unlock
select pg_advisory_unlock(%(number)s::bigint)

-- name: named
-- What a table, and a column of it, are called now.
select n.nspname::text, c.relname::text, (select f.attname::text from pg_attribute f where f.attrelid = c.oid and f.attnum = %(sub)s)
  from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = %(oid)s

-- name: still
-- Whether a name is that of one table with rows of its own; a view of that name would run its owner's code.
select exists (select from pg_class c where c.oid = %(oid)s and c.oid = to_regclass(%(table)s::text) and c.relkind in ('r', 'p', 'm')) as same

-- name: partitions
-- The partitions of a table, at every level.
select n.nspname::text, c.relname::text
  from pg_partition_tree(%(oid)s::oid::regclass) t join pg_class c on c.oid = t.relid join pg_namespace n on n.oid = c.relnamespace
 where t.level > 0

-- name: writing
-- Of some names those of functions that may change rows: volatile ones that are neither PostgreSQL's own nor of an
-- extension that only computes.
select distinct p.proname::text as name
  from pg_proc p
 where p.proname = any (%(names)s::text[]) and p.provolatile = 'v' and p.pronamespace <> 'pg_catalog'::regnamespace
   and not exists (select from pg_depend d join pg_extension e on e.oid = d.refobjid
                    where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e'
                      and e.extname in ('pgcrypto', 'uuid-ossp', 'pg_uuidv7'))

-- name: busy
-- Whether something else runs when rows of a table, or of one that inherits from it, are changed.
with recursive tree as (
  select to_regclass(%(table)s::text)::oid as oid
  union
  select i.inhrelid from pg_inherits i join tree t on i.inhparent = t.oid
)
select exists (select from pg_trigger g join tree t on t.oid = g.tgrelid where not g.tgisinternal)
    or exists (select from pg_rewrite r join tree t on t.oid = r.ev_class where r.ev_type <> '1') as busy

-- name: of_column
-- What goes with a column without a word: indexes, constraints and statistics on it.
select distinct o.type || ' ' || o.identity as what, d.classid::bigint as catalog, d.objid::bigint as oid
  from pg_depend d, pg_identify_object(d.classid, d.objid, d.objsubid) o
 where d.refclassid = 'pg_class'::regclass and d.refobjid = %(oid)s and d.refobjsubid = %(sub)s and d.deptype = 'a'
   and d.classid in ('pg_class'::regclass, 'pg_constraint'::regclass, 'pg_statistic_ext'::regclass)
   and not exists (select from pg_class c where d.classid = 'pg_class'::regclass and c.oid = d.objid and c.relkind = 'S')
 order by 1

-- name: older
-- Whether a table has rows that were written before some transactions ago; {where}: that have a value in a column.
select exists (select from only {table} t where (age(t.xmin) >= %(since)s::int or age(t.xmin) < 0) and {where}) as older

-- name: filled
-- Whether rows of before a column may have a value in it that stands nowhere but in the catalog.
select coalesce((select f.atthasmissing from pg_attribute f where f.attrelid = %(oid)s and f.attnum = %(sub)s), false) as filled
