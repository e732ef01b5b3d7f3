-- name: relation
-- What stands under a table's name: its kind, and whether we may read and write it. For a superuser also its owner, if
-- that one isn't: as whom the table's triggers, checks and domains are to run.
select c.oid::bigint, c.relkind::text,
       has_schema_privilege(n.oid, 'usage') and has_table_privilege(c.oid, 'select') as may_read,
       has_table_privilege(c.oid, 'insert') as may_insert,
       has_table_privilege(c.oid, 'update') as may_update,
       has_table_privilege(c.oid, 'delete') as may_delete,
       pg_has_role(c.relowner, 'usage') as owns,
       coalesce((select o.rolname::text from pg_roles o, pg_roles me
                  where o.oid = c.relowner and not o.rolsuper and me.rolname = current_user and me.rolsuper), '') as owner
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
 where n.nspname = %(schema)s and c.relname = %(name)s

-- name: event_triggers
-- Event triggers that run for what a restore of rows makes and takes away: temporary tables, switched triggers.
select evtname::text from pg_event_trigger
 where evtenabled in ('O', 'A')
   and evtevent in ('ddl_command_start', 'ddl_command_end')
   and (evttags is null or evttags && array['CREATE TABLE', 'CREATE TABLE AS', 'ALTER TABLE'])
 order by 1

-- name: columns
-- Columns in their order. base: the type behind a domain, also of an array's elements, whose input runs nobody's CHECK;
-- bare: that one without its length, since a cast to varchar(3) would cut off silently.
select a.attname::text,
       format_type(a.atttypid, a.atttypmod),
       format_type(b.oid, -1) || b.many as bare,
       a.attnotnull or (t.typtype = 'd' and t.typnotnull) as not_null,
       a.atthasdef or t.typdefault is not null as has_default,
       a.attidentity::text,
       a.attgenerated <> '' as generated,
       format_type(b.oid, b.typmod) || b.many as base
  from pg_attribute a
  join pg_type t on t.oid = a.atttypid
 cross join lateral (
       with recursive behind(oid, typmod, kind, next, nextmod, many) as (
         select t.oid, a.atttypmod, t.typtype, t.typbasetype, t.typtypmod, ''
         union all
         select u.oid, case when h.kind = 'd' then h.nextmod else h.typmod end, u.typtype, u.typbasetype, u.typtypmod,
                case when h.kind = 'd' then h.many else '[]' end
           from behind h
           join pg_type p on p.oid = h.oid
           join pg_type u on u.oid = case when h.kind = 'd' then h.next
                                          when p.typcategory = 'A' and p.typelem <> 0 and h.many = '' then p.typelem end
          where h.kind = 'd' or u.typtype = 'd')
       select h.oid, h.typmod, h.many
         from behind h
         join pg_type p on p.oid = h.oid
        where h.kind <> 'd' and not exists (
              select from behind o join pg_type q on q.oid = o.oid where p.typelem = o.oid and o.many <> h.many)) b
 where a.attrelid = %(oid)s and a.attnum > 0 and not a.attisdropped
 order by a.attnum

-- name: guarded
-- Columns with a domain within that the query above doesn't get behind: in a composite type or a range.
select a.attname::text
  from pg_attribute a
 where a.attrelid = %(oid)s and a.attnum > 0 and not a.attisdropped and a.atttypid >= 16384 and exists (
       with recursive within(oid, depth) as (
         select a.atttypid, 0
         union
         select u.oid, case when p.typtype in ('c', 'r', 'm') then 1 else w.depth end
           from within w
           join pg_type p on p.oid = w.oid
          cross join lateral (
                select p.typelem where p.typelem <> 0
                union all
                select p.typbasetype where p.typbasetype <> 0
                union all
                select f.atttypid from pg_attribute f
                 where p.typrelid <> 0 and f.attrelid = p.typrelid and f.attnum > 0 and not f.attisdropped
                union all
                select r.rngsubtype from pg_range r where w.oid in (r.rngtypid, r.rngmultitypid)) u(oid))
       select from within w join pg_type p on p.oid = w.oid where p.typtype = 'd' and w.depth = 1)

-- name: primary_key
-- The columns of the primary key in its order, and by which operator its index finds them equal: found by their name
-- alone, those of an extension would need its schema in search_path, where anybody may have put others.
select a.attname::text, coalesce(format('operator(%%I.%%s)', n.nspname, o.oprname), 'operator(pg_catalog.=)')
  from pg_constraint k
  join pg_index i on i.indexrelid = k.conindid
  cross join unnest(k.conkey) with ordinality u(attnum, ord)
  join pg_attribute a on a.attrelid = k.conrelid and a.attnum = u.attnum
  join pg_opclass c on c.oid = i.indclass[u.ord - 1]
  left join pg_amop m on m.amopfamily = c.opcfamily and m.amoplefttype = c.opcintype
                     and m.amoprighttype = c.opcintype and m.amopstrategy = 3
                     and c.opcmethod = (select oid from pg_am where amname = 'btree')
  left join pg_operator o on o.oid = m.amopopr
  left join pg_namespace n on n.oid = o.oprnamespace
 where k.conrelid = %(oid)s and k.contype = 'p'
 order by u.ord

-- name: triggers
-- Triggers of people's own, also on partitions, that fire for an ordinary session. events: bits of pg_trigger.tgtype.
select n.nspname::text, c.relname::text, t.tgname::text, t.tgtype::int, t.tgenabled::text
  from pg_trigger t join pg_class c on c.oid = t.tgrelid join pg_namespace n on n.oid = c.relnamespace
 where (t.tgrelid = %(oid)s or t.tgrelid in (select relid from pg_partition_tree(%(oid)s)))
   and not t.tgisinternal and t.tgenabled in ('O', 'A')
 order by t.tgname, 1, 2

-- name: partitions
-- Every partition and the table that it is, in the end, a part of.
select n.nspname::text, c.relname::text, rn.nspname::text, r.relname::text
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
  join pg_class r on r.oid = pg_partition_root(c.oid)
  join pg_namespace rn on rn.oid = r.relnamespace
 where c.relispartition and c.relkind in ('r', 'p')

-- name: links
-- Every foreign key with what it does when the row that it points at is deleted, or gets another value there. nulled:
-- the columns that SET NULL sets.
select n.nspname::text, c.relname::text, k.conname::text,
       array(select a.attname::text from unnest(k.conkey) with ordinality u(attnum, ord)
               join pg_attribute a on a.attrelid = k.conrelid and a.attnum = u.attnum order by u.ord) as columns,
       rn.nspname::text, r.relname::text,
       array(select a.attname::text from unnest(k.confkey) with ordinality u(attnum, ord)
               join pg_attribute a on a.attrelid = k.confrelid and a.attnum = u.attnum order by u.ord) as referenced,
       k.confdeltype::text,
       k.confupdtype::text,
       array(select a.attname::text
               from unnest(coalesce(nullif(k.confdelsetcols, '{}'), k.conkey)) with ordinality u(attnum, ord)
               join pg_attribute a on a.attrelid = k.conrelid and a.attnum = u.attnum order by u.ord) as nulled,
       array(select format('operator(%%I.%%s)', s.nspname, o.oprname)
               from unnest(k.conpfeqop) with ordinality u(oper, ord)
               join pg_operator o on o.oid = u.oper join pg_namespace s on s.oid = o.oprnamespace
              order by u.ord) as equal,
       array(select format('operator(%%I.%%s)', s.nspname, o.oprname)
               from unnest(k.conppeqop) with ordinality u(oper, ord)
               join pg_operator o on o.oid = u.oper join pg_namespace s on s.oid = o.oprnamespace
              order by u.ord) as parent_equal
  from pg_constraint k
  join pg_class c on c.oid = k.conrelid
  join pg_namespace n on n.oid = c.relnamespace
  join pg_class r on r.oid = k.confrelid
  join pg_namespace rn on rn.oid = r.relnamespace
 where k.contype = 'f' and k.conparentid = 0
 order by 1, 2, 3

-- name: uniform
-- Values as text are the same on both sides only under the same settings; pg_dump sets them for the same reason.
select set_config('datestyle', 'ISO, YMD', %(local)s), set_config('intervalstyle', 'postgres', %(local)s),
       set_config('timezone', 'UTC', %(local)s), set_config('extra_float_digits', '3', %(local)s),
       set_config('bytea_output', 'hex', %(local)s), set_config('xmloption', 'content', %(local)s),
       set_config('lc_monetary', 'C', %(local)s), set_config('search_path', 'pg_catalog, pg_temp', %(local)s),
       set_config('row_security', 'off', %(local)s), set_config('client_encoding', 'UTF8', %(local)s)
