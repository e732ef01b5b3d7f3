-- name: tables
-- Tables and materialized views, partitioned ones as a whole. rls: a policy would hide rows from this user; parents: what
-- it inherits from.
select c.oid::bigint, n.nspname::text, c.relname::text, c.relkind::text,
       has_schema_privilege(n.oid, 'usage') and has_table_privilege(c.oid, 'select') as may_read,
       row_security_active(c.oid) as rls,
       (c.relkind <> 'm' or c.relispopulated) as filled,
       array(select i.inhparent::bigint from pg_inherits i where i.inhrelid = c.oid) as parents
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
 where c.relkind in ('r', 'p', 'm', 'f') and not c.relispartition and c.relpersistence <> 't'
   and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'

-- name: columns
-- Their columns in order. binary: what the type sends is the same for equal values on every server: it has no number of
-- another object in it, and one spelling only (a NaN has several). own: PostgreSQL's own type, whose cast to text nobody
-- else can have made.
select a.attrelid::bigint, a.attname::text, format_type(a.atttypid, a.atttypmod), a.atttypid::bigint,
       a.atttypid < 16384 as own,
       a.atttypid < 16384 and coalesce(e.typname, t.typname) = any(%(binary)s::text[]) as binary
  from pg_attribute a
  join pg_class c on c.oid = a.attrelid
  join pg_type t on t.oid = a.atttypid
  left join pg_type e on e.oid = t.typelem and t.typcategory = 'A'
 where a.attnum > 0 and not a.attisdropped
   and c.relkind in ('r', 'p', 'm') and not c.relispartition and c.relpersistence <> 't' and c.relnamespace >= 2200
 order by a.attrelid, a.attnum

-- name: keys
-- What tells rows apart: the primary key, then unique indexes over columns that are NOT NULL. equal: the operators by which
-- the index finds its rows; unique_text: two texts are two values; may_look_up: reading a value of the type runs nobody's
-- code (a composite type may hold a domain, with its CHECK).
select x.indrelid::bigint, x.indisprimary,
       array_agg(a.attname::text order by u.ord) as names,
       array_agg(coalesce(format('operator(%%I.%%s)', n.nspname, o.oprname), 'operator(pg_catalog.=)') order by u.ord) as equal,
       bool_and((t.typtype = 'e' or (t.oid < 16384 and t.typname = any(%(unique)s::text[])))
                and coalesce(l.collisdeterministic, true)) as unique_text,
       bool_and(b.typtype = 'e' or (b.typtype in ('b', 'r', 'm') and b.oid < 16384)
                or (b.typtype = 'b' and b.typcategory <> 'A')) as may_look_up
  from pg_index x
  join pg_class i on i.oid = x.indexrelid
  join pg_class c on c.oid = x.indrelid
  join pg_am m on m.oid = i.relam and m.amname = 'btree'
 cross join unnest(x.indkey::int2[]) with ordinality u(attnum, ord)
  join pg_attribute a on a.attrelid = x.indrelid and a.attnum = u.attnum
  join pg_type t on t.oid = a.atttypid
  join pg_type b on b.oid = case when t.typtype = 'd' then t.typbasetype else t.oid end
  join pg_opclass p on p.oid = x.indclass[u.ord - 1]
  left join pg_collation l on l.oid = x.indcollation[u.ord - 1]
  left join pg_amop s on s.amopfamily = p.opcfamily and s.amoplefttype = p.opcintype and s.amoprighttype = p.opcintype
                     and s.amopstrategy = 3
  left join pg_operator o on o.oid = s.amopopr
  left join pg_namespace n on n.oid = o.oprnamespace
 where x.indisunique and x.indisvalid and x.indpred is null and x.indexprs is null and u.ord <= x.indnkeyatts
   and c.relkind in ('r', 'p') and not c.relispartition and c.relnamespace >= 2200
 group by x.indexrelid, x.indrelid, x.indisprimary
having bool_and(a.attnotnull)
 order by x.indrelid, x.indisprimary desc, cardinality(array_agg(u.ord)), x.indexrelid

-- name: parts
-- Where the rows of a table are: itself, or its partitions. blocks: how many it has now; file: the number of its file as
-- the snapshot knows it, which is another one after TRUNCATE or a rewrite; heap: it can be read by ranges of blocks.
select c.oid::bigint, n.nspname::text, c.relname::text, c.relkind::text, coalesce(a.amname = 'heap', false) as heap,
       coalesce(pg_relation_size(c.oid), 0) / current_setting('block_size')::bigint as blocks, c.relfilenode::bigint as file,
       has_schema_privilege(n.oid, 'usage') and has_table_privilege(c.oid, 'select') as may_read,
       row_security_active(c.oid) as rls
  from (select %(oid)s::bigint::oid union select relid from pg_partition_tree(%(oid)s::bigint::oid::regclass)) p(oid)
  join pg_class c on c.oid = p.oid
  join pg_namespace n on n.oid = c.relnamespace
  left join pg_am a on a.oid = c.relam
 where c.relkind in ('r', 'm', 'f')
 order by 2, 3

-- name: file
-- The number of a table's file as of now; our lock on it keeps it so.
select coalesce(pg_relation_filenode(%(oid)s::bigint::oid)::bigint, 0)

-- name: sizes
-- Pages of tables, before any of them is read: only for the progress.
select c.oid::bigint, coalesce(sum(pg_relation_size(l.relid)), 0)::bigint
  from pg_class c
 cross join lateral (select c.oid where c.relkind <> 'p' union select relid from pg_partition_tree(c.oid)) l(relid)
 where c.oid = any(%(oids)s::bigint[]::oid[])
 group by c.oid

-- name: large_objects
-- How many there are: their data is not compared.
select count(*) from pg_largeobject_metadata

-- name: begun
-- Reading by ranges of blocks must not be switched off; and how this server hashes a text. Whatever takes the name of a
-- table or sequence meanwhile: a view, which would run its owner's functions as us, is never read. Servers before 15.8 and
-- 16.4 don't have the setting (CVE-2024-7348).
select set_config('enable_tidscan', 'on', true), hashtextextended('tabsync' collate "C", 1)::text,
       (select set_config(s.name, 'view, foreign-table', true)
          from pg_settings s where s.name = 'restrict_nonsystem_relation_kind')

-- name: timeout
-- For the transaction, since a pooler may give the session to others.
select set_config('statement_timeout', %(milliseconds)s, true)
