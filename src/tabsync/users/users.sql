-- name: users
-- The users that are asked for: by the address as it is typed, or as it is compared by a unique index in lower case; by
-- role; or all. off, verified: NULL where the manual names no such column.
select u.{key}::text as key, u.{email}::text as email, {name} as name, u.{role}::text as role,
       {verified} as verified, {off} as off, {has_password} as has_password
  from {users} u
 where (%(email)s::text is null or u.{email}::text = %(email)s or %(any_case)s and lower(u.{email}::text) = lower(%(email)s))
   and (%(role)s::text is null or u.{role}::text = %(role)s)
   and (%(key)s::text is null or u.{key}::text = %(key)s)
 order by u.{role}, u.{email}::text, u.{key}
 limit %(limit)s

-- name: counts
-- How many have each role.
select u.{role}::text as role, count(*) as users from {users} u group by u.{role} order by u.{role}

-- name: password_hash
-- Of one user. It is verified here, and goes nowhere else.
select u.{password_hash}::text from {users} u where u.{key}::text = %(key)s

-- name: any_case
-- Whether a unique index of the users' table keeps two addresses from differing in nothing but case.
select exists (select from pg_index i
                 join pg_attribute a on a.attrelid = i.indrelid and a.attname = %(email)s::name
                 join pg_type t on t.oid = a.atttypid
                where i.indrelid = to_regclass(%(table)s) and i.indisunique and i.indisvalid and i.indpred is null
                  and i.indnkeyatts = 1
                  and (i.indexprs is not null and pg_get_indexdef(i.indexrelid, 1, false) ~* 'lower\('
                         and exists (select from pg_depend d
                                      where d.classid = 'pg_class'::regclass and d.objid = i.indexrelid
                                        and d.refobjid = i.indrelid and d.refobjsubid = a.attnum)
                       or i.indkey[0] = a.attnum and t.typname = 'citext'))

-- name: ready
-- Whether the guarded functions are there, and this role may call them.
select to_regprocedure('tabsync_audit.change_role_as(text, text, text, text, text, text)') is not null as installed,
       coalesce(has_function_privilege(to_regprocedure(
         'tabsync_audit.change_role_as(text, text, text, text, text, text)'), 'execute'), false) as allowed,
       to_regprocedure('tabsync_audit.disable_user_as(text, boolean, text, text, text)') is not null as disables

-- name: change_role
-- The guarded change; what it refuses has the SQLSTATE TS001.
select tabsync_audit.change_role_as(%(target)s, %(found)s, %(to)s, %(actor)s, %(how)s, %(reason)s)

-- name: disable
-- The guarded change of the other kind.
select tabsync_audit.disable_user_as(%(target)s, %(off)s, %(actor)s, %(how)s, %(reason)s)

-- name: create_admin
-- The first one, or another one, from the host.
select tabsync_audit.create_admin_as(%(email)s, %(name)s, %(hash)s, %(to)s, %(actor)s, 'host', %(reason)s)

-- name: quiet
-- What a superuser can keep the server's log from repeating: a hash, in the values of a statement or of a row.
select set_config(s.name, s.value, false)
  from (values ('log_statement', 'none'), ('log_min_duration_statement', '-1'), ('log_min_duration_sample', '-1'),
               ('log_transaction_sample_rate', '0'), ('log_min_error_statement', 'panic'), ('log_error_verbosity', 'terse'),
               ('log_parameter_max_length', '0'), ('debug_print_plan', 'off'), ('debug_print_parse', 'off'),
               ('debug_print_rewritten', 'off'), ('log_parameter_max_length_on_error', '0')) s(name, value)
 where current_setting('is_superuser') = 'on' or s.name in ('debug_print_plan', 'debug_print_parse',
                                                            'debug_print_rewritten', 'log_parameter_max_length_on_error')

-- name: log
-- The audit log, where it is installed.
select s.value #>> '{}' as log from tabsync_audit.settings s where s.name = 'log'

-- name: installed
-- Whether there are its settings, for this role to read.
select coalesce(has_table_privilege(to_regclass('tabsync_audit.settings'), 'select'), false) as readable

-- name: history
-- What the log says of the roles of some users, newest first: a change by our function, one by UPDATE, the INSERT. The
-- UPDATE that our function made has an entry of its own kind in the same transaction.
select l.id, l.entity_id as key, l.action, l.old_value ->> {role_key} as old, l.new_value ->> {role_key} as new,
       l.created_at as at, coalesce(l.actor, l.db_user) as who, l.actor_how as how, l.origin, l.app, l.reason
  from {log} l
 where l.entity_type = %(entity)s and l.entity_id = any (%(keys)s)
   and l.action in ('INSERT', 'UPDATE') and l.origin = 'trigger' and l.new_value ? {role_key}
   and not exists (select from {log} f where f.xid = l.xid and f.entity_id = l.entity_id and f.entity_type = %(entity)s
                      and f.origin = 'function' and f.action = 'ROLE_CHANGE')
union all
select l.id, l.entity_id, l.action,
       case when l.action in ('DISABLE', 'ENABLE') then l.old_value ->> 'disabled' else l.old_value ->> 'role' end,
       case when l.action in ('DISABLE', 'ENABLE') then l.new_value ->> 'disabled' else l.new_value ->> 'role' end,
       l.created_at, coalesce(l.actor, l.user_id::text, l.db_user), l.actor_how, l.origin, l.app, l.reason
  from {log} l
 where l.entity_type = %(entity)s and l.entity_id = any (%(keys)s)
   and l.action in ('ROLE_CHANGE', 'DISABLE', 'ENABLE')
 order by at desc, id desc
 limit %(limit)s
