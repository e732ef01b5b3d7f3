-- name: path
-- The search_path that a role gets in this database when it logs in: its own preset here, its own, the database's, or
-- else the server's, which is what our own session came with, unless our role has a preset.
-- https://www.postgresql.org/docs/current/catalog-pg-db-role-setting.html
select pg_catalog.set_config('search_path', coalesce(
         (select pg_catalog.substr(c.setting, 13)
            from pg_catalog.pg_db_role_setting d
           cross join pg_catalog.unnest(d.setconfig) c(setting)
           where d.setrole in (0, %(role)s::text::regrole::oid)
             and d.setdatabase in (0, (select oid from pg_catalog.pg_database where datname = current_database()))
             and c.setting like 'search\_path=%%'
           order by d.setrole = 0, d.setdatabase = 0
           limit 1),
         (select case when exists (select from pg_catalog.pg_db_role_setting d
                                    where d.setrole = session_user::regrole
                                      and pg_catalog.array_to_string(d.setconfig, chr(10)) ~ '(^|\n)search_path=')
                      then boot_val else reset_val end
            from pg_catalog.pg_settings where name = 'search_path')), true) as path

-- name: policies
-- A policy is a part of the plan; what it calls is proven like the rest.
select set_config('row_security', 'on', true)

-- name: generic
-- A prepared statement is planned without the values of its parameters.
select set_config('plan_cache_mode', 'force_generic_plan', true)

-- name: stored
-- The functions in the expressions that are stored with the relations which a statement can name: the planner computes
-- what does not depend on rows. Of views, partitions, parents and children too. A domain's CHECK has no name here.
with recursive reached(oid) as (
    select c.oid from pg_class c where c.oid >= 16384 and c.relname = any(%(words)s::name[])
  union
    select next.oid
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
), trees(oid, what, tree) as (
    select x.indrelid, 'an index', concat(x.indexprs::text, x.indpred::text)
      from pg_index x join reached on reached.oid = x.indrelid
    union all
    select k.conrelid, 'a constraint', k.conbin::text from pg_constraint k join reached on reached.oid = k.conrelid
    union all
    select a.adrelid, 'a default', a.adbin::text from pg_attrdef a join reached on reached.oid = a.adrelid
    union all
    select p.polrelid, 'a policy', concat(p.polqual::text, p.polwithcheck::text)
      from pg_policy p join reached on reached.oid = p.polrelid
    union all
    select w.ev_class, 'a rule', concat(w.ev_action::text, w.ev_qual::text)
      from pg_rewrite w join reached on reached.oid = w.ev_class
    union all
    select s.stxrelid, 'statistics', s.stxexprs::text
      from pg_statistic_ext s join reached on reached.oid = s.stxrelid
    union all
    select t.partrelid, 'a partition key', t.partexprs::text
      from pg_partitioned_table t join reached on reached.oid = t.partrelid
)
select distinct t.oid::regclass::text as relation, t.what, p.proname::text, n.nspname::text, p.oid < 16384 as builtin,
       p.provolatile = 'v' and e.extname is not null and l.lanname in ('c', 'internal') as is_never_computed
  from trees t
 cross join lateral regexp_matches(t.tree, ':(?:funcid|opfuncid|aggfnoid|winfnoid|hashfuncid|negfuncid) (\d+)', 'g')
       found(ids)
  join pg_proc p on p.oid = found.ids[1]::oid
  join pg_namespace n on n.oid = p.pronamespace
  join pg_language l on l.oid = p.prolang
  left join pg_depend d on d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e'
  left join pg_extension e on e.oid = d.refobjid
