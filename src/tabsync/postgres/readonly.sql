-- name: bound
-- The bounds of one reading transaction. With row_security off a policy that would hide rows is an error instead of a
-- smaller number, and no function of a policy runs. All rows of a cursor are wanted, so it is planned for all of them.
select set_config('statement_timeout', %(statement_timeout)s, true),
       set_config('lock_timeout', %(lock_timeout)s, true),
       set_config('jit', 'off', true),
       set_config('row_security', 'off', true),
       set_config('standard_conforming_strings', 'on', true),
       set_config('cursor_tuple_fraction', '1', true)

-- name: meant
-- The schemas in which the application's names are looked up, with and without those that PostgreSQL adds itself. This
-- runs under the application's search_path, so no name here is left to it.
select pg_catalog.current_schemas(true), pg_catalog.current_schemas(false)

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
-- Of some names, one that PostgreSQL's own schema doesn't have.
select n.name
  from pg_catalog.unnest(%(names)s::text[]) n(name)
 where not exists (select from pg_catalog.pg_class c
                    where c.relname = n.name and c.relnamespace = 'pg_catalog'::pg_catalog.regnamespace)
 limit 1

-- name: functions
-- Functions that a name can mean: in the search path, or in a schema that the statement mentions.
-- 16384 is FirstNormalObjectId: what initdb made lies below (src/include/access/transam.h).
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
-- Relations of users that the statement can reach: those it names, their partitions and children, and, through views,
-- what stands behind them. rule: whether the relation has a rule, that is, is a view.
with recursive reached(oid) as (
    select c.oid
    from pg_catalog.pg_class c
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where c.relname = any(%(words)s::name[])
      and (n.nspname = any(%(schemas)s::name[]) or n.nspname = any(%(words)s::name[]))
  union
    select next.oid
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
select c.oid::bigint as oid, c.oid::regclass::text as name, c.relkind::text as kind
from reached r
join pg_catalog.pg_class c on c.oid = r.oid
where c.oid >= 16384 and c.relkind in ('v', 'f')

-- name: view_functions
-- The functions that views call, from their stored rules: pg_depend leaves out what initdb made.
select v.oid::regclass::text as view, p.proname, n.nspname, p.oid < 16384 as builtin, p.provolatile = 'v' as volatile,
       e.extname
from unnest(%(views)s::oid[]) v(oid)
join pg_catalog.pg_rewrite w on w.ev_class = v.oid
cross join lateral regexp_matches(w.ev_action::text, ':(?:funcid|opfuncid|aggfnoid|winfnoid) (\d+)', 'g') found(ids)
join pg_catalog.pg_proc p on p.oid = found.ids[1]::oid
join pg_catalog.pg_namespace n on n.oid = p.pronamespace
left join pg_catalog.pg_depend d
       on d.classid = 'pg_catalog.pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e'
left join pg_catalog.pg_extension e on e.oid = d.refobjid
group by 1, 2, 3, 4, 5, 6

-- name: view_domains
-- Views that cast to a domain: its CHECK can call any function.
select v.oid::regclass::text
from unnest(%(views)s::oid[]) v(oid)
join pg_catalog.pg_rewrite w on w.ev_class = v.oid
where w.ev_action::text like '%%COERCETODOMAIN%%'

-- name: types
-- Types of users whose input can run a CHECK: domains, and what may hold one.
select t.typname
from pg_catalog.pg_type t
join pg_catalog.pg_namespace n on n.oid = t.typnamespace
where t.oid >= 16384
  and t.typtype in ('d', 'c', 'r', 'm')
  and t.typname = any(%(names)s::name[])
  and (n.nspname = any(%(schemas)s::name[]) or n.nspname = any(%(words)s::name[]))

-- name: is_type
-- Which of the names are types: `numeric(10, 2)` looks like a call.
select t.typname from pg_catalog.pg_type t where t.typname = any(%(names)s::name[])

-- name: keywords
-- Which of the words belong to the grammar: `filter (`, `over (`, `in (` look like calls.
select k.word from pg_catalog.pg_get_keywords() k where k.word = any(%(names)s::text[])

-- name: operators
-- Operators of users, outside extensions, that the statement could use: by its text, or without being written (=, <,
-- ~~ and their kin stand behind IN, BETWEEN, LIKE, CASE, NULLIF).
select o.oid::regoperator::text
from pg_catalog.pg_operator o
join pg_catalog.pg_namespace n on n.oid = o.oprnamespace
where o.oid >= 16384
  and n.nspname <> 'pg_catalog'
  and (n.nspname = any(%(schemas)s::name[]) or n.nspname = any(%(words)s::name[]))
  and (o.oprname in ('=', '<>', '<', '<=', '>', '>=', '~~', '!~~', '~~*', '!~~*', '~')
       or position(o.oprname in %(sql)s) > 0)
  and not exists (select from pg_catalog.pg_depend d
                  where d.classid = 'pg_catalog.pg_operator'::regclass and d.objid = o.oid and d.deptype = 'e')

-- name: casts
-- Casts of users, outside extensions, that call a function: implicit ones run without being written.
select format_type(c.castsource, null) || ' as ' || format_type(c.casttarget, null)
from pg_catalog.pg_cast c
where c.oid >= 16384
  and c.castfunc >= 16384
  and (c.castcontext = 'i' or %(casts)s)
  and not exists (select from pg_catalog.pg_depend d
                  where d.classid = 'pg_catalog.pg_cast'::regclass and d.objid = c.oid and d.deptype = 'e')
