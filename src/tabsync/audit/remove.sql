-- name: triggers
-- Every trigger that calls a function of ours, wherever it is; also those of an install that was interrupted.
select n.nspname::text as schema, c.relname::text as "table", t.tgname::text as trigger
  from pg_trigger t
  join pg_class c on c.oid = t.tgrelid
  join pg_namespace n on n.oid = c.relnamespace
  join pg_proc p on p.oid = t.tgfoid
  join pg_namespace f on f.oid = p.pronamespace
 where f.nspname = 'tabsync_audit' and not t.tgisinternal
 order by 1, 2, 3

-- name: drop_trigger
-- It takes ACCESS EXCLUSIVE: it comes soon, or is tried again.
drop trigger if exists {trigger} on {table}

-- name: own_table
-- As before.
alter table {table} owner to {owner}

-- name: grant_table
-- As before.
grant {privilege} on {table} to {role} {option}

-- name: grant_columns
-- As before.
grant {privilege} ({column}) on {table} to {role} {option}

-- name: ours
-- What is in the schema, in the order in which it can be dropped.
select case when p.prokind = 'p' then 'procedure' else 'function' end as kind, p.proname::text as name,
       pg_get_function_identity_arguments(p.oid) as arguments, 1 as place
  from pg_proc p where p.pronamespace = (select oid from pg_namespace where nspname = 'tabsync_audit')
union all
select case c.relkind when 'S' then 'sequence' when 'v' then 'view' else 'table' end, c.relname::text, '',
       case c.relkind when 'v' then 0 else 2 end
  from pg_class c
 where c.relnamespace = (select oid from pg_namespace where nspname = 'tabsync_audit') and c.relkind in ('r', 'S', 'v')
   and not exists (select from pg_depend d where d.objid = c.oid and d.classid = 'pg_class'::regclass and d.deptype in ('a', 'i'))
 order by 4, 2

-- name: drop
-- Without CASCADE: what somebody has built on it is named, and stays.
drop {kind} tabsync_audit.{name}

-- name: drop_function
-- The same.
drop {kind} tabsync_audit.{name}({arguments})

-- name: drop_schema
-- Empty by now.
drop schema if exists tabsync_audit

-- name: owns
-- What the role owns or may do here, and in which other databases.
select d.dbid = (select oid from pg_database where datname = current_database()) as here, d.deptype = 'o' as owned,
       case when d.dbid = (select oid from pg_database where datname = current_database())
            then pg_describe_object(d.classid, d.objid, d.objsubid)
            else (select datname::text from pg_database where oid = d.dbid) end as name
  from pg_shdepend d
 where d.refclassid = 'pg_authid'::regclass and d.refobjid = (select oid from pg_roles where rolname = 'tabsync_audit')
   and d.dbid <> 0
 order by 1 desc, 3

-- name: drop_privileges
-- It owns nothing here: this only takes the privileges that it has.
drop owned by tabsync_audit

-- name: drop_role
-- The last.
drop role if exists tabsync_audit
