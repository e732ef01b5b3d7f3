-- name: types
-- What the columns are of now: the type of a role may be created anew between two calls of one session, so nothing here
-- may name it. native: their own operators are PostgreSQL's, so that an index is used.
  select format_type(k.atttypid, -1), format_type(r.atttypid, -1), kt.typnamespace = 'pg_catalog'::regnamespace,
         rt.typtype = 'e' or rt.typnamespace = 'pg_catalog'::regnamespace, rt.typtype = 'e', r.atttypid
    into v_key_type, v_role_type, v_key_native, v_role_native, v_enum, v_role_oid
    from pg_class c
    join pg_attribute k on k.attrelid = c.oid and k.attname = {key_name} and not k.attisdropped
    join pg_attribute r on r.attrelid = c.oid and r.attname = {role_name} and not r.attisdropped
    join pg_type kt on kt.oid = k.atttypid
    join pg_type rt on rt.oid = r.atttypid
   where c.oid = to_regclass(v_users);
  if v_key_type is null then
    raise exception 'the table % with % and % is not there any more', v_users, {key_name}, {role_name}
      using errcode = 'TS001', hint = 'Correct the manual, then: tabsync audit repair';
  end if;

-- name: declare
-- For the block above. off: of an account, whether it is disabled, unknown without a column that says so.
  v_users constant text := {users_name};
  v_off constant text := {off};
  v_key_type text;
  v_role_type text;
  v_key_native boolean;
  v_role_native boolean;
  v_enum boolean;
  v_role_oid oid;

-- name: definers
-- What runs as the owner of the users must do so: made SECURITY INVOKER by that owner, it would run as us from here.
  if exists (select from pg_proc p join pg_namespace n on n.oid = p.pronamespace
              where n.nspname = 'tabsync_audit' and p.proname like 'users\_%' and not p.prosecdef) then
    raise exception 'the functions that read and write the users are not as tabsync made them'
      using errcode = 'TS001', hint = 'tabsync audit status';
  end if;

-- name: users_locked
-- As the owner of the users: locks everybody who holds a top role, and the two who are asked for, in the order of their
-- keys, and only then reads what they are. A lock that is taken later would let two demote each other.
-- https://www.postgresql.org/docs/current/explicit-locking.html#LOCKING-ROWS
declare
{declare}
  v_top text[] := top;
  v_who text;
  v_found jsonb;
begin
{types}
  if v_enum then
    v_top := array(select e.enumlabel::text from pg_enum e where e.enumtypid = v_role_oid and e.enumlabel = any (top));
  end if;
  v_who := case when v_role_native then format('(u.%I = any ($1::%s[])', {role_name}, v_role_type)
                else format('(u.%I::text = any ($1)', {role_name}) end
        || case when v_key_native then format(' or u.%I = any ($2::%s[]))', {key_name}, v_key_type)
                else format(' or u.%I::text = any ($2))', {key_name}) end;
  execute format('select from %s u where %s order by u.%I for no key update', v_users, v_who, {key_name})
    using v_top, array_remove(array[target, actor], null);
  execute format('select jsonb_build_object(''target'', $3::%2$s::text, ''actor'', $4::%2$s::text, ''users'', (select'
                 ' jsonb_agg(jsonb_build_object(''key'', u.%3$I::text, ''role'', u.%4$I::text, ''off'', %5$s))'
                 ' from %6$s u where %1$s))', v_who, v_key_type, {key_name}, {role_name}, v_off, v_users)
    into v_found
    using v_top, array_remove(array[target, actor], null), target, actor;
  return v_found;
end

-- name: users_role
-- As the owner of the users: what one is now, without a lock; NULL for nobody, or for an account that is disabled.
declare
{declare}
  v_found text;
begin
{types}
  execute format('select u.%I::text from %s u where (%s) is not true and %s', {role_name}, v_users, v_off,
                 case when v_key_native then format('u.%I = $1::%s', {key_name}, v_key_type)
                      else format('u.%I::text = $1', {key_name}) end)
    into v_found using who;
  return v_found;
exception when invalid_text_representation then
  return null;
end

-- name: users_share
-- As the owner of the users, by the manual's query, which means the application's tables: whether two share a tenant.
declare
  v_found boolean;
begin
  execute 'with t as (select q.user_id::text as who, q.tenant::text as place from (' || {tenants} || E'\n) q)'
          ' select exists (select from t a join t b on a.place = b.place where a.who = $1 and b.who = $2)'
    into strict v_found using one, other;
  return v_found;
end

-- name: users_set_role
-- As the owner of the users, so that triggers of theirs do what they may and no more.
declare
{declare}
  v_where text;
  v_count bigint;
  v_now text;
begin
{types}
  v_where := case when v_key_native then format('u.%I = $1::%s', {key_name}, v_key_type)
                  else format('u.%I::text = $1', {key_name}) end;
  execute format('update %s u set %I = $2::%s where %s', v_users, {role_name}, v_role_type, v_where)
    using who, to_role;
  get diagnostics v_count = row_count;
  execute format('select u.%I::text from %s u where %s', {role_name}, v_users, v_where) into v_now using who;
  if v_count <> 1 or v_now is distinct from to_role then
    raise exception 'the role was not changed: % rows were updated, and it is % now', v_count, coalesce(v_now, 'unknown')
      using errcode = 'TS001', hint = 'Look at the triggers and rules of the users'' table.';
  end if;
end

-- name: users_set_disabled
-- As the owner of the users: a column that is boolean becomes true or false, any other the time of now or NULL.
declare
{declare}
  v_type text;
  v_count bigint;
begin
{types}
  select format_type(a.atttypid, -1) into strict v_type
    from pg_class c
    join pg_attribute a on a.attrelid = c.oid and a.attname = {disabled_name} and not a.attisdropped
   where c.oid = to_regclass(v_users);
  execute format('update %s u set %I = %s where %s', v_users, {disabled_name},
                 case when v_type = 'boolean' then '$2' else 'case when $2 then clock_timestamp() end' end,
                 case when v_key_native then format('u.%I = $1::%s', {key_name}, v_key_type)
                      else format('u.%I::text = $1', {key_name}) end)
    using who, off;
  get diagnostics v_count = row_count;
  if v_count <> 1 then
    raise exception 'the account was not changed: % rows were updated', v_count
      using errcode = 'TS001', hint = 'Look at the triggers and rules of the users'' table.';
  end if;
end

-- name: users_add
-- As the owner of the users: one more. What a column needs, and has no default, is made where its type tells how.
declare
{declare}
  v_columns text[];
  v_values text[];
  v_lacking text;
  v_new text;
begin
{types}
  select array_agg(format('%I', a.attname) order by a.attnum),
         array_agg(case
           when a.attname = {email_name} then format('$1::%s', format_type(a.atttypid, a.atttypmod))
           when a.attname = {name_name} then format('$2::%s', format_type(a.atttypid, a.atttypmod))
           when a.attname = {hash_name} then format('$3::%s', format_type(a.atttypid, a.atttypmod))
           when a.attname = {role_name} then format('$4::%s', v_role_type)
           when a.attname = {verified_name} and t.typname = 'bool' then 'true'
           when a.attname = {verified_name} or t.typcategory = 'D' then 'statement_timestamp()'
           when a.attname = {key_name} and t.typname = 'uuid' then 'gen_random_uuid()'
           when a.attname = {key_name} and t.typcategory = 'S' then 'gen_random_uuid()::text' end order by a.attnum)
    into v_columns, v_values
    from pg_attribute a
    join pg_type t on t.oid = a.atttypid
   where a.attrelid = to_regclass(v_users) and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
     and (a.attname in ({email_name}, {name_name}, {hash_name}, {role_name}, {verified_name})
          or a.attnotnull and not a.atthasdef and a.attidentity = '' and t.typdefault is null);
  select c.name into v_lacking from unnest(v_columns, v_values) c(name, value) where c.value is null limit 1;
  if found then
    raise exception 'the column % has to be given, and has no default', v_lacking
      using errcode = 'TS001', hint = 'Insert the user as the application does, then: tabsync user promote --break-glass';
  end if;
  execute format('insert into %s as u (%s) values (%s) returning u.%I::text', v_users, array_to_string(v_columns, ', '),
                 array_to_string(v_values, ', '), {key_name})
    into v_new using email, name, hash, to_role;
  if v_new is null then
    raise exception 'the user was not inserted'
      using errcode = 'TS001', hint = 'Look at the triggers and rules of the users'' table.';
  end if;
  return v_new;
end

-- name: create_admin_as
-- Creates somebody with a top role, who has nobody above; for a person on the host of tabsync alone.
declare
  v_actor constant text := null;
  v_target jsonb;
begin
{definers}
  if coalesce(reason, '') !~ '[^[:space:]]' or coalesce(actor, '') !~ '[^[:space:]]' then
    raise exception 'a reason, and who acts, have to be said' using errcode = 'TS001';
  end if;
  if not exists (select from tabsync_audit.roles r where r.role = to_role and r.above = '{{}}') then
    raise exception '% is no top role of the manual', to_role using errcode = 'TS001', hint = 'tabsync manual show roles';
  end if;
  v_target := jsonb_build_object('key', tabsync_audit.users_add(email, name, hash, to_role), 'role', null);
  {enter}
  return jsonb_build_object('key', v_target ->> 'key', 'new', to_role);
end

-- name: check_change
-- The rules of a change, on rows that are locked: gives who is changed, as it is now. What the manual does not allow
-- raises TS001. actor_how 'break-glass' and 'host' stand for a person who is no user, and by the reason alone; the last
-- one who holds a top role, and is not disabled, stays in any case.
declare
  v_top constant text[] := array(select r.role from tabsync_audit.roles r where r.above = '{{}}');
  v_person constant boolean := actor_how in ('break-glass', 'host');
  v_found jsonb;
  v_target jsonb;
  v_actor jsonb;
  v_old text;
  v_rank text;
begin
{definers}
  if coalesce(reason, '') !~ '[^[:space:]]' or coalesce(actor, '') !~ '[^[:space:]]' then
    raise exception 'a reason, and who acts, have to be said' using errcode = 'TS001';
  end if;
  if to_role is not null and not exists (select from tabsync_audit.roles r where r.role = to_role) then
    raise exception 'the manual has no role %', to_role using errcode = 'TS001', hint = 'tabsync manual show roles';
  end if;
  v_found := tabsync_audit.users_locked(target, case when not v_person then actor end, v_top);
  select u into v_target from jsonb_array_elements(v_found -> 'users') u where u ->> 'key' = v_found ->> 'target';
  select u into v_actor from jsonb_array_elements(v_found -> 'users') u where u ->> 'key' = v_found ->> 'actor';
  v_old := v_target ->> 'role';
  v_rank := v_actor ->> 'role';
  if v_target is null then
    raise exception 'there is no user %', target using errcode = 'TS001', hint = 'tabsync user list';
  end if;
  if found_role is not null and v_old is distinct from found_role then
    raise exception 'the role of % is % by now, not %', target, v_old, found_role
      using errcode = 'TS001', hint = 'Plan it again.';
  end if;
  if v_old = to_role then
    raise exception '% has the role % already', target, to_role using errcode = 'TS001';
  end if;
  if not v_person then
    if v_actor is null or (v_actor ->> 'off')::boolean then
      raise exception 'who acts, %, is no user, or is disabled', actor using errcode = 'TS001';
    end if;
    if v_actor ->> 'key' = v_target ->> 'key' then
      raise exception 'nobody may do that to themselves' using errcode = 'TS001', hint = 'Ask another one to do it.';
    end if;
    if exists (select from unnest(array[v_old, coalesce(to_role, v_old)]) w(role)
                where (v_rank = any (v_top) and w.role = v_rank) is not true
                  and not exists (select from tabsync_audit.roles r where r.role = w.role and v_rank = any (r.above))) then
      raise exception 'a % may not do that: the role has to be above % and %', v_rank, v_old, coalesce(to_role, v_old)
        using errcode = 'TS001', hint = 'tabsync manual show roles';
    end if;
    if not v_rank = any (v_top) and not tabsync_audit.users_share(v_actor ->> 'key', v_target ->> 'key') then
      raise exception 'a % may do that only to users of the same tenant', v_rank using errcode = 'TS001';
    end if;
  end if;
  if v_old = any (v_top) and loses and not exists (
       select from jsonb_array_elements(v_found -> 'users') u
        where u ->> 'role' = v_old and u ->> 'key' <> v_target ->> 'key' and not coalesce((u ->> 'off')::boolean, false)) then
    raise exception 'this is the last % whose account is in use', v_old
      using errcode = 'TS001', hint = 'Give the role to another user first.';
  end if;
  return v_target;
end

-- name: change_role_as
-- Gives a user another role, and writes the entry, in the caller's transaction. found_role: the role that the caller
-- saw, NULL for any.
declare
  v_actor constant text := case when actor_how not in ('break-glass', 'host') then actor end;
  v_target jsonb;
begin
  if to_role is null then
    raise exception 'the new role has to be said' using errcode = 'TS001';
  end if;
  v_target := tabsync_audit.check_change(target, found_role, to_role, true, actor, actor_how, reason);
  perform tabsync_audit.users_set_role(v_target ->> 'key', to_role);
  {enter}
  return jsonb_build_object('key', v_target ->> 'key', 'old', v_target ->> 'role', 'new', to_role);
end

-- name: enter_role
-- The entry of a change of role: both as they really were.
insert into {log} (user_id, action, entity_type, entity_id, old_value, new_value, created_at, origin, table_name,
                     db_role, actor, actor_how, reason)
  values ({user_id}, 'ROLE_CHANGE', {entity}, v_target ->> 'key',
          case when v_target ->> 'role' is not null then jsonb_build_object('role', v_target ->> 'role') end,
          jsonb_build_object('role', to_role), statement_timestamp(), 'function', {users_text},
          nullif(current_setting('role'), 'none'), actor, actor_how, reason);

-- name: change_role
-- The same for an application: who acts is whom its claims name, and only if they are signed.
declare
  v_actor text;
  v_how text;
begin
  select w.actor, w.how into v_actor, v_how from tabsync_audit.who() w;
  if v_how is distinct from 'signed' then
    raise exception 'who acts is not known: the claims of this session are %', coalesce(v_how, 'absent')
      using errcode = 'TS001', hint = 'Only signed claims count here.';
  end if;
  return tabsync_audit.change_role_as(target, null, to_role, v_actor, v_how, reason);
end

-- name: disable_user_as
-- Keeps an account from being used, or lets it be used again.
declare
  v_actor constant text := case when actor_how not in ('break-glass', 'host') then actor end;
  v_target jsonb;
begin
  v_target := tabsync_audit.check_change(target, null, null, off, actor, actor_how, reason);
  if (v_target ->> 'off')::boolean is not distinct from off then
    raise exception 'the account is % already', case when off then 'disabled' else 'in use' end using errcode = 'TS001';
  end if;
  perform tabsync_audit.users_set_disabled(v_target ->> 'key', off);
  insert into {log} (user_id, action, entity_type, entity_id, old_value, new_value, created_at, origin, table_name,
                     db_role, actor, actor_how, reason)
  values ({user_id}, case when off then 'DISABLE' else 'ENABLE' end, {entity}, v_target ->> 'key',
          jsonb_build_object('disabled', not off), jsonb_build_object('disabled', off), statement_timestamp(), 'function',
          {users_text}, nullif(current_setting('role'), 'none'), actor, actor_how, reason);
  return jsonb_build_object('key', v_target ->> 'key', 'role', v_target ->> 'role', 'disabled', off);
end

-- name: check_given
-- What somebody who isn't the owner may insert: a role of sign-up, or one below that of an actor whose claims are signed.
declare
  v_bad text;
  v_rank text;
begin
  if not exists (select from unnest(given) g(role)
                  where not exists (select from tabsync_audit.roles r where r.role = g.role and r.sign_up)) then
    return;
  end if;
{definers}
  select tabsync_audit.users_role(w.actor) into v_rank from tabsync_audit.who() w where w.how = 'signed';
  select g.role into v_bad
    from unnest(given) g(role)
   where not exists (select from tabsync_audit.roles r where r.role = g.role and (r.sign_up or v_rank = any (r.above)))
   limit 1;
  if found then
    raise exception 'a user with the role % may not be inserted here', coalesce(v_bad, 'NULL')
      using errcode = 'insufficient_privilege',
            hint = 'Insert it with a role of sign-up, then: tabsync user promote';
  end if;
end

-- name: guard_insert
-- After an INSERT, a COPY or a MERGE into the users. Not SECURITY DEFINER: current_user is whoever inserts.
declare
  v_given text[];
begin
  if pg_has_role(current_user, (select c.relowner from pg_class c where c.oid = tg_relid), 'usage') then
    return null;
  end if;
  execute format('select array_agg(distinct n.%I::text) from tabsync_new n', {role_name}) into v_given;
  if v_given is not null then
    perform tabsync_audit.check_given(v_given);
  end if;
  return null;
end

-- name: guard_update
-- After an UPDATE: whoever isn't the owner, and got here by a view or as a member of pg_write_all_data, changes no role;
-- and no key either, which would be another's role.
declare
  v_found boolean;
begin
  if pg_has_role(current_user, (select c.relowner from pg_class c where c.oid = tg_relid), 'usage') then
    return null;
  end if;
  execute format('select exists (select n.%1$I::text, n.%2$I::text from tabsync_new n'
                 ' except select o.%1$I::text, o.%2$I::text from tabsync_old o)', {key_name}, {role_name})
    into v_found;
  if v_found then
    raise exception 'the role of a user is not changed by UPDATE'
      using errcode = 'insufficient_privilege', hint = 'tabsync user promote, or tabsync_audit.change_role()';
  end if;
  return null;
end

-- name: function
-- One function. Its body names nothing that would have to be there when it is created.
create or replace function tabsync_audit.{name}({arguments}) returns {returns} language plpgsql {security}
set search_path = pg_catalog, pg_temp {settings} as {body}

-- name: function_as_application
-- One that resolves names as the application does: what this session has now.
create or replace function tabsync_audit.{name}({arguments}) returns {returns} language plpgsql security definer
set search_path from current set row_security = off as {body}

-- name: temp_last
-- Temporary tables would come first otherwise, and whoever calls could name one like a table of the tenants.
-- https://www.postgresql.org/docs/current/sql-createfunction.html#SQL-CREATEFUNCTION-SECURITY
select set_config('search_path', concat_ws(', ', nullif(p.path, ''), 'pg_temp'), true)
  from (select current_setting('search_path') as path) p
 where p.path !~ '(^|[ ,"])pg_temp"? *$'

-- name: own
-- To whom it belongs.
alter function tabsync_audit.{name}({arguments}) owner to {owner}

-- name: private
-- Nobody calls it but those who are named.
revoke all on function tabsync_audit.{name}({arguments}) from public

-- name: callable
-- Who may call it.
grant execute on function tabsync_audit.{name}({arguments}) to {who}

-- name: usage
-- Those whose INSERT is looked at call a function in it; each thing in it is closed by itself.
grant usage on schema tabsync_audit to public

-- name: trigger_insert
-- After each statement that inserts.
create or replace trigger tabsync_guard_insert after insert on {table} referencing new table as tabsync_new
for each statement execute function tabsync_audit.guard_insert()

-- name: trigger_update
-- After each that updates.
create or replace trigger tabsync_guard_update after update on {table}
referencing old table as tabsync_old new table as tabsync_new
for each statement execute function tabsync_audit.guard_update()

-- name: always
-- Also where session_replication_role is replica.
alter table {table} enable always trigger {name}

-- name: installed_functions
-- Our functions as they are; public: whether everybody may call it.
select p.proname::text as name, p.prosrc as body, r.rolname::text as owner, p.prosecdef as definer,
       coalesce(p.proconfig, '{}') as settings,
       exists (select from aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) x where x.grantee = 0) as public
  from pg_proc p
  join pg_namespace n on n.oid = p.pronamespace
  join pg_roles r on r.oid = p.proowner
 where n.nspname = 'tabsync_audit'

-- name: guards
-- The triggers of a table that are ours; only ALWAYS is on.
select t.tgname::text as name,
       case t.tgenabled when 'A' then 'on' when 'D' then 'disabled' else 'not ALWAYS' end as state
  from pg_trigger t
 where t.tgrelid = to_regclass(%(table)s) and t.tgname like 'tabsync\_guard\_%%'

-- name: strangers
-- Who may call one of them by a default privilege (of Supabase, for one), and isn't meant to.
select p.proname::text as name, pg_get_function_identity_arguments(p.oid) as arguments, r.rolname::text as role
  from pg_proc p
  join pg_namespace n on n.oid = p.pronamespace
 cross join aclexplode(p.proacl) x
  join pg_roles r on r.oid = x.grantee
 where n.nspname = 'tabsync_audit' and p.proname = any (%(ours)s) and p.proname <> all (%(public)s)
   and x.grantee <> p.proowner and r.rolname <> %(owner)s and p.proname <> 'change_role'

-- name: shut
-- Not for those.
revoke all on function tabsync_audit.{name}({arguments}) from {role} cascade
