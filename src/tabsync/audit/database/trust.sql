-- name: strange
-- What is in a schema of our name that we have not made, or that would run somebody's code when we read it, write it or
-- call it. Whoever may create a schema in the database may have made one of that name before us. The functions users_*
-- belong to the owner of the users, and run as that owner.
with trusted as (
  select oid from pg_roles where rolsuper or rolname in (current_user, 'tabsync_audit')
), ours as (
  select n.oid, n.nspowner as owner from pg_namespace n where n.nspname = 'tabsync_audit'
), things as (
  select c.oid, c.relname::text as name, c.relkind, c.relowner as owner from pg_class c join ours on ours.oid = c.relnamespace
)
select 1 as place, 'it belongs to ' || pg_get_userbyid(owner) as told from ours where owner not in (select oid from trusted)
union all
select 2, format('%%s in it is no plain table', name) from things where relkind not in ('r', 'S', 'i', 'c')
union all
select 3, format('%%s in it belongs to %%s', name, pg_get_userbyid(owner)) from things where owner not in (select oid from trusted)
union all
select 4, format('the function %%s in it belongs to %%s', p.proname, pg_get_userbyid(p.proowner))
  from pg_proc p join ours on ours.oid = p.pronamespace
 where p.proowner not in (select oid from trusted) and p.proname not like 'users\_%%'
union all
select 5, format('%%s in it has the trigger %%s', things.name, t.tgname)
  from pg_trigger t join things on things.oid = t.tgrelid where not t.tgisinternal
union all
select 6, format('%%s in it has the rule %%s', things.name, r.rulename) from pg_rewrite r join things on things.oid = r.ev_class
union all
select 7, format('%%s in it has the policy %%s', things.name, p.polname) from pg_policy p join things on things.oid = p.polrelid
union all
select 8, format('%%s in it has the constraint %%s', things.name, k.conname)
  from pg_constraint k join things on things.oid = k.conrelid where k.contype not in ('p', 'u', 'n')
union all
select 9, format('%%s in it inherits', things.name) from pg_inherits i join things on things.oid in (i.inhrelid, i.inhparent)
 where things.relkind = 'r'
union all
select 10, format('the column %%s of %%s in it has a default that calls %%s', a.attname, things.name,
                  pg_describe_object(d.refclassid, d.refobjid, 0))
  from pg_attrdef f
  join things on things.oid = f.adrelid
  join pg_attribute a on a.attrelid = f.adrelid and a.attnum = f.adnum
  join pg_depend d on d.classid = 'pg_attrdef'::regclass and d.objid = f.oid
 where d.refclassid in ('pg_proc'::regclass, 'pg_operator'::regclass, 'pg_type'::regclass) and d.refobjid >= 16384
union all
select 11, format('the column %%s of %%s in it has the type %%s', a.attname, things.name, format_type(a.atttypid, null))
  from pg_attribute a join things on things.oid = a.attrelid
 where a.atttypid >= 16384 and a.attnum > 0 and not a.attisdropped
union all
select 12, format('the index %%s in it computes something', things.name)
  from pg_index i join things on things.oid = i.indexrelid where i.indexprs is not null or i.indpred is not null
 order by place, told
 limit 1

-- name: called
-- A function of ours before it is called: as whom it runs.
select p.prosecdef as definer, pg_get_userbyid(p.proowner)::text as owner,
       p.proowner in (select oid from pg_roles where rolsuper or rolname in (current_user, 'tabsync_audit')) as trusted
  from pg_proc p join pg_namespace n on n.oid = p.pronamespace
 where n.nspname = 'tabsync_audit' and p.proname = %(name)s::name
