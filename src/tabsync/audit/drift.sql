-- name: triggers
-- The triggers of ours on a table and on the log: tgenabled is A for ENABLE ALWAYS, O for what replica mode skips, D for
-- disabled. https://www.postgresql.org/docs/current/catalog-pg-trigger.html
select n.nspname::text as schema, c.relname::text as "table", t.tgname::text as name, t.tgenabled::text as enabled,
       f.nspname::text || '.' || p.proname::text as function, encode(t.tgargs, 'hex') as arguments,
       c.oid::bigint as oid
  from pg_trigger t
  join pg_class c on c.oid = t.tgrelid
  join pg_namespace n on n.oid = c.relnamespace
  join pg_proc p on p.oid = t.tgfoid
  join pg_namespace f on f.oid = p.pronamespace
 where not t.tgisinternal and f.nspname = 'tabsync_audit'

-- name: functions
-- Our functions, as they are.
select p.proname::text as name, p.prosrc as body, p.prosecdef as definer, r.rolname::text as owner,
       coalesce(p.proconfig, '{}') as settings
  from pg_proc p
  join pg_roles r on r.oid = p.proowner
 where p.pronamespace = (select oid from pg_namespace where nspname = 'tabsync_audit')

-- name: policy
-- What is written down of the manual.
select schema_name as schema, table_name as name, must, entity, key_columns as keys, secret_columns as secret
  from tabsync_audit.tables order by 1, 2

-- name: roles
-- The roles, as they were written down.
select role, above, sign_up from tabsync_audit.roles order by role

-- name: gaps
-- How many entries could not be written, and when the last one.
select (select last_value from tabsync_audit.gaps)::bigint as gaps,
       (select last_value from tabsync_audit.last_gap)::bigint as last_gap

-- name: invalid
-- Of the newest entries, those of the last day of which it isn't known who acted, though somebody has said it.
select count(*) from (select created_at, actor_how from {log} order by id desc limit {newest}) one
 where actor_how = 'invalid' and created_at > now() - interval '1 day'

-- name: rows_in
-- How many rows a partition has of near months, and how many of others, each up to a bound.
select (select count(*) from (select from {table} where created_at >= {since} and created_at < {until} limit {most}) one),
       (select count(*) from (select from {table} where created_at < {since} or created_at >= {until} limit {most}) one)

-- name: owners
-- Who owns the log, its partitions, and our own things.
select n.nspname::text as schema, c.relname::text as name, r.rolname::text as owner
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
  join pg_roles r on r.oid = c.relowner
 where c.oid = any(%(oids)s::oid[]) or n.nspname = 'tabsync_audit' and c.relkind in ('r', 'S')
 order by 1, 2

-- name: too_much
-- Who has more of the log than reading it, or writing its own columns.
select coalesce(r.rolname::text, 'PUBLIC') as role, x.privilege_type as privilege, c.oid::regclass::text as name
  from pg_class c
 cross join aclexplode(c.relacl) x
  left join pg_roles r on r.oid = x.grantee
 where c.oid = any(%(oids)s::oid[]) and x.grantee <> c.relowner
   and (x.privilege_type <> 'SELECT' or c.relispartition)
union
select coalesce(r.rolname::text, 'PUBLIC'), x.privilege_type || ' (' || a.attname::text || ')', a.attrelid::regclass::text
  from pg_attribute a
  join pg_class c on c.oid = a.attrelid
 cross join aclexplode(a.attacl) x
  left join pg_roles r on r.oid = x.grantee
 where c.oid = any(%(oids)s::oid[]) and x.grantee <> c.relowner
   and (x.privilege_type not in ('SELECT', 'INSERT') or x.privilege_type = 'INSERT' and a.attname = any(%(ours)s))
 order by 1, 2

-- name: subscriptions
-- The apply worker fires row triggers only:
-- https://www.postgresql.org/docs/current/logical-replication-architecture.html
select s.subname::text as subscription, n.nspname::text as schema, c.relname::text as name
  from pg_subscription_rel r
  join pg_subscription s on s.oid = r.srsubid
  join pg_class c on c.oid = r.srrelid
  join pg_namespace n on n.oid = c.relnamespace
 where s.subdbid = (select oid from pg_database where datname = current_database())
