-- name: begin
-- Each statement sees what is committed when it begins: no snapshot is kept between two of them.
begin transaction isolation level read committed, read only

-- name: bound
-- The bounds of one reading transaction. With row_security off a policy that would hide rows is an error instead of a
-- smaller number, and no function of a policy runs; with constraint_exclusion off, none of a CHECK does. A client that is gone ends what still runs for it; only Linux lets
-- the server see that: https://www.postgresql.org/docs/current/runtime-config-connection.html
select pg_catalog.set_config('search_path', %(search_path)s, true),
       pg_catalog.set_config('statement_timeout', %(statement_timeout)s, true),
       pg_catalog.set_config('lock_timeout', %(lock_timeout)s, true),
       pg_catalog.set_config('jit', 'off', true),
       pg_catalog.set_config('row_security', 'off', true),
       pg_catalog.set_config('constraint_exclusion', 'off', true),
       pg_catalog.set_config('standard_conforming_strings', 'on', true),
       case when pg_catalog.strpos(pg_catalog.version(), 'linux') operator(pg_catalog.>) 0
            then pg_catalog.set_config('client_connection_check_interval', '500', true) end

-- name: meant
-- The schemas in which the application's names are looked up, with and without those that PostgreSQL adds itself. This
-- runs under the application's search_path, so no name here is left to it.
select pg_catalog.current_schemas(true) as every, pg_catalog.current_schemas(false) as path

-- name: key
-- What every proof depends on: it stands until one of these changes. Each row that is written gets a newer xmin, so a
-- sum can't come back by itself. Renaming counts too, which for views and foreign tables is a change of pg_class alone,
-- and for all that is in a schema one of pg_namespace. %(types)s: the names that the statements use as types.
-- 16384 is FirstNormalObjectId: what initdb made lies below (src/include/access/transam.h).
select p.functions, o.operators, c.casts, v.views, i.parents, f.foreign_tables, n.schemas, t.types, s.stored
  from (select count(*) || ' ' || coalesce(sum(xmin::text::int8), 0) as functions
          from pg_catalog.pg_proc where oid >= 16384) p,
       (select count(*) || ' ' || coalesce(sum(xmin::text::int8), 0) as operators
          from pg_catalog.pg_operator where oid >= 16384) o,
       (select count(*) || ' ' || coalesce(sum(xmin::text::int8), 0) as casts
          from pg_catalog.pg_cast where oid >= 16384) c,
       (select count(*) || ' ' || coalesce(sum(w.xmin::text::int8 + r.xmin::text::int8), 0) as views
          from pg_catalog.pg_rewrite w join pg_catalog.pg_class r on r.oid = w.ev_class where w.oid >= 16384) v,
       (select count(*) || ' ' || coalesce(sum(xmin::text::int8), 0) as parents
          from pg_catalog.pg_inherits) i,
       (select count(*) || ' ' || coalesce(sum(x.xmin::text::int8 + r.xmin::text::int8), 0) as foreign_tables
          from pg_catalog.pg_foreign_table x join pg_catalog.pg_class r on r.oid = x.ftrelid) f,
       (select count(*) || ' ' || coalesce(sum(xmin::text::int8), 0) as schemas
          from pg_catalog.pg_namespace) n,
       (select count(*) || ' ' || coalesce(sum(xmin::text::int8), 0) as types
          from pg_catalog.pg_type where oid >= 16384 and typtype in ('d', 'c', 'r', 'm')
           and typname = any(%(types)s::name[])) t,
       (select count(*) || ' ' || coalesce(sum(e.xmin::text::int8 + r.xmin::text::int8), 0) as stored
          from (select indrelid as oid, xmin from pg_catalog.pg_index
                 where indexprs is not null or indpred is not null
                 union all
                select stxrelid, xmin from pg_catalog.pg_statistic_ext where stxexprs is not null
                 union all
                select partrelid, xmin from pg_catalog.pg_partitioned_table where partexprs is not null
                 union all
                select d.adrelid, d.xmin
                  from pg_catalog.pg_attrdef d
                  join pg_catalog.pg_attribute a on a.attrelid = d.adrelid and a.attnum = d.adnum
                 where a.attgenerated <> '') e
          join pg_catalog.pg_class r on r.oid = e.oid
         where r.oid >= 16384) s

-- name: bounded
-- A statement, held to a number of rows and to a length of each. The rows are cut before they are looked at, so that
-- they are made no other way than without this. The cast fails on purpose; it takes the row, or the planner would find
-- the failure before there is one.

select * from (select * from (
{statement}
) tabsync_rows limit {rows}) tabsync_row
 where case when pg_catalog.octet_length(tabsync_row::pg_catalog.text) operator(pg_catalog.>) {longest}
            then pg_catalog.concat({told}::pg_catalog.text,
                                   pg_catalog.left(tabsync_row::pg_catalog.text, 0))::pg_catalog.bool
            else true end

-- name: reader
-- For a superuser: a role that can read all of it and harm nothing, if there is one.
select r.rolname
  from pg_catalog.pg_roles r
 where (select rolsuper from pg_catalog.pg_roles where rolname = current_user)
   and not (r.rolsuper or r.rolcreaterole or r.rolcreatedb or r.rolreplication)
   and pg_catalog.pg_has_role(r.oid, 'pg_monitor', 'usage')
   and pg_catalog.pg_has_role(r.oid, 'pg_read_all_data', 'usage')
   and not exists (
         select from pg_catalog.pg_roles p
          where p.rolname in ('pg_write_all_data', 'pg_signal_backend', 'pg_execute_server_program',
                              'pg_write_server_files', 'pg_read_server_files', 'pg_database_owner')
            and pg_catalog.pg_has_role(r.oid, p.oid, 'usage'))
 order by r.rolbypassrls desc, r.rolname
 limit 1

-- name: others
-- Of some names, those that PostgreSQL's own schema doesn't have.
select n.name
  from pg_catalog.unnest(%(tables)s::text[]) n(name)
 where not exists (select from pg_catalog.pg_class c
                    where c.relname = n.name and c.relnamespace = 'pg_catalog'::pg_catalog.regnamespace)

-- name: functions
-- Functions that a name can mean: in the search path, or in a schema that a statement mentions.
select p.proname, n.nspname, p.oid < 16384 as builtin, p.provolatile = 'v' as volatile, e.extname,
       p.pronargs > 0 as takes_arguments
from pg_catalog.pg_proc p
join pg_catalog.pg_namespace n on n.oid = p.pronamespace
left join pg_catalog.pg_depend d
       on d.classid = 'pg_catalog.pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e'
left join pg_catalog.pg_extension e on e.oid = d.refobjid
where p.proname = any(%(names)s::name[])
  and (n.nspname = any(%(schemas)s::name[]) or n.nspname = any(%(words)s::name[]))

-- name: relations
-- Views and foreign tables of users that a statement can reach: those it names (root, nspname), their partitions and
-- children, and, through views, what stands behind them.
with recursive reached(root, nspname, oid) as (
    select c.relname, n.nspname, c.oid
    from pg_catalog.pg_class c
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where c.oid >= 16384
      and c.relname = any(%(words)s::name[])
      and (n.nspname = any(%(schemas)s::name[]) or n.nspname = any(%(words)s::name[]))
  union
    select r.root, r.nspname, next.oid
    from reached r
    cross join lateral (
        select i.inhrelid from pg_catalog.pg_inherits i where i.inhparent = r.oid
        union all
        select d.refobjid
        from pg_catalog.pg_rewrite w
        join pg_catalog.pg_depend d on d.classid = 'pg_catalog.pg_rewrite'::regclass and d.objid = w.oid
        where w.ev_class = r.oid and d.refclassid = 'pg_catalog.pg_class'::regclass
    ) next(oid)
)
select r.root, r.nspname, c.oid::bigint as oid, c.oid::regclass::text as name, c.relkind::text as kind
from reached r
join pg_catalog.pg_class c on c.oid = r.oid
where c.oid >= 16384 and c.relkind in ('v', 'f')

-- name: view_functions
-- The functions that views call, from their stored rules: pg_depend leaves out what initdb made.
select v.oid::bigint as oid, v.oid::regclass::text as view, p.proname, n.nspname, p.oid < 16384 as builtin,
       p.provolatile = 'v' as volatile, e.extname
from unnest(%(views)s::oid[]) v(oid)
join pg_catalog.pg_rewrite w on w.ev_class = v.oid
cross join lateral regexp_matches(w.ev_action::text, ':(?:funcid|opfuncid|aggfnoid|winfnoid) (\d+)', 'g') found(ids)
join pg_catalog.pg_proc p on p.oid = found.ids[1]::oid
join pg_catalog.pg_namespace n on n.oid = p.pronamespace
left join pg_catalog.pg_depend d
       on d.classid = 'pg_catalog.pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e'
left join pg_catalog.pg_extension e on e.oid = d.refobjid
group by 1, 2, 3, 4, 5, 6, 7

-- name: view_domains
-- Views that cast to a domain: its CHECK can call any function.
select v.oid::bigint as oid, v.oid::regclass::text as view
from unnest(%(views)s::oid[]) v(oid)
join pg_catalog.pg_rewrite w on w.ev_class = v.oid
where w.ev_action::text like '%%COERCETODOMAIN%%'

-- name: types
-- Types of users whose input can run a CHECK: domains, and what may hold one.
select t.typname, n.nspname
from pg_catalog.pg_type t
join pg_catalog.pg_namespace n on n.oid = t.typnamespace
where t.oid >= 16384
  and t.typtype in ('d', 'c', 'r', 'm')
  and t.typname = any(%(types)s::name[])
  and (n.nspname = any(%(schemas)s::name[]) or n.nspname = any(%(words)s::name[]))

-- name: is_type
-- Which of the names are types: `numeric(10, 2)` looks like a call.
select t.typname, n.nspname
from pg_catalog.pg_type t
join pg_catalog.pg_namespace n on n.oid = t.typnamespace
where t.typname = any(%(called)s::name[])

-- name: keywords
-- Which of the words belong to the grammar: `filter (`, `over (`, `in (` look like calls.
select k.word from pg_catalog.pg_get_keywords() k where k.word = any(%(called)s::text[])

-- name: operators
-- Operators of users, outside extensions, in a schema whose names are looked up.
select o.oid::regoperator::text as operator, o.oprname, n.nspname
from pg_catalog.pg_operator o
join pg_catalog.pg_namespace n on n.oid = o.oprnamespace
where o.oid >= 16384
  and n.nspname <> 'pg_catalog'
  and (n.nspname = any(%(schemas)s::name[]) or n.nspname = any(%(words)s::name[]))
  and not exists (select from pg_catalog.pg_depend d
                  where d.classid = 'pg_catalog.pg_operator'::regclass and d.objid = o.oid and d.deptype = 'e')

-- name: casts
-- Casts of users, outside extensions, that call a function: implicit ones run without being written.
select format_type(c.castsource, null) || ' as ' || format_type(c.casttarget, null) as name, c.castcontext::text
from pg_catalog.pg_cast c
where c.oid >= 16384
  and c.castfunc >= 16384
  and not exists (select from pg_catalog.pg_depend d
                  where d.classid = 'pg_catalog.pg_cast'::regclass and d.objid = c.oid and d.deptype = 'e')

-- name: stored
-- The functions in the expressions that are stored with relations: the planner computes what does not depend on rows, in
-- the rights of whoever asks. Of those that a statement can name (root, nspname), and of the views, partitions, parents
-- and children behind them. A function of an extension in C that is volatile is never computed.
with recursive reached(root, nspname, oid) as (
    select c.relname, n.nspname, c.oid
      from pg_class c
      join pg_namespace n on n.oid = c.relnamespace
     where c.oid >= 16384
       and c.relname = any(%(words)s::name[])
       and (n.nspname = any(%(schemas)s::name[]) or n.nspname = any(%(words)s::name[]))
  union
    select r.root, r.nspname, next.oid
      from reached r
     cross join lateral (
           select i.inhrelid as oid from pg_inherits i where i.inhparent = r.oid
           union all
           select i.inhparent from pg_inherits i where i.inhrelid = r.oid
           union all
           select d.refobjid
             from pg_rewrite w
             join pg_depend d on d.classid = 'pg_rewrite'::regclass and d.objid = w.oid
            where w.ev_class = r.oid and d.refclassid = 'pg_class'::regclass) next
), relations(oid) as (
    select distinct oid from reached
), trees(oid, what, tree) as (
    select x.indrelid, 'an index', concat(x.indexprs::text, x.indpred::text)
      from pg_index x join relations on relations.oid = x.indrelid
    union all
    select k.conrelid, 'a constraint', k.conbin::text from pg_constraint k join relations on relations.oid = k.conrelid
    union all
    select d.adrelid, case when a.attgenerated <> '' then 'a generated column' else 'a default' end, d.adbin::text
      from pg_attrdef d
      join relations on relations.oid = d.adrelid
      join pg_attribute a on a.attrelid = d.adrelid and a.attnum = d.adnum
    union all
    select p.polrelid, 'a policy', concat(p.polqual::text, p.polwithcheck::text)
      from pg_policy p join relations on relations.oid = p.polrelid
    union all
    select w.ev_class, 'a rule', concat(w.ev_action::text, w.ev_qual::text)
      from pg_rewrite w join relations on relations.oid = w.ev_class
    union all
    select s.stxrelid, 'statistics', s.stxexprs::text
      from pg_statistic_ext s join relations on relations.oid = s.stxrelid
    union all
    select t.partrelid, 'a partition key', t.partexprs::text
      from pg_partitioned_table t join relations on relations.oid = t.partrelid
)
select distinct r.root::text, r.nspname::text as root_schema, t.oid::regclass::text as relation, t.what,
       p.proname::text, n.nspname::text, p.oid < 16384 as builtin,
       p.provolatile = 'v' and e.extname is not null and l.lanname in ('c', 'internal') as is_never_computed
  from trees t
  join reached r on r.oid = t.oid
 cross join lateral regexp_matches(t.tree, ':(?:funcid|opfuncid|aggfnoid|winfnoid|hashfuncid|negfuncid) (\d+)', 'g')
       found(ids)
  join pg_proc p on p.oid = found.ids[1]::oid
  join pg_namespace n on n.oid = p.pronamespace
  join pg_language l on l.oid = p.prolang
  left join pg_depend d on d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e'
  left join pg_extension e on e.oid = d.refobjid
 where p.oid >= 16384 or p.proname ~ '_to_xml|^txid_current|^pg_current_xact_id'
