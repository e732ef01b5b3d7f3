-- name: role
-- Owns the schema, the functions and the log, and nobody logs in as it.
create role {owner} nologin noinherit nocreatedb nocreaterole

-- name: tame
-- One that was there before, or was changed since, is as we would create it.
alter role {owner} nologin noinherit nocreatedb nocreaterole noreplication password null

-- name: loose
-- What the owner's role may beyond what it was created with.
select array_remove(array[case when rolcanlogin then 'log in' end, case when rolcreaterole then 'create roles' end,
                          case when rolcreatedb then 'create databases' end, case when rolreplication then 'replicate' end,
                          case when rolsuper then 'everything: it is a superuser' end], null) as may
  from pg_roles where rolname = 'tabsync_audit'

-- name: bypass
-- TRUNCATE and a change of role have to see all rows, also where row security comes to a table. Only a superuser may.
alter role {owner} bypassrls

-- name: may
-- Who we are, and whether the owner's role is there, or may be ours to use: from 16 on, CREATEROLE alone gives no role that
-- somebody else has created. https://www.postgresql.org/docs/current/role-attributes.html
select r.rolsuper as superuser, current_user::text as "user", o.oid is not null as there,
       r.rolsuper or case when o.oid is null then r.rolcreaterole
                          else pg_has_role(o.oid, 'member')
                               or r.rolcreaterole and current_setting('server_version_num')::int < 160000 end as may_own,
       current_setting('server_version_num')::int as version
  from pg_roles r
  left join pg_roles o on o.rolname = 'tabsync_audit'
 where r.rolname = current_user

-- name: become
-- Lets us give things to the role, on 16 and later too: https://www.postgresql.org/docs/current/role-membership.html
grant {owner} to current_user

-- name: schema
-- Nothing in it is for others, but the counters of what could not be recorded, for the monitor's role.
create schema if not exists tabsync_audit;
alter schema tabsync_audit owner to {owner};
grant usage on schema tabsync_audit to pg_monitor

-- name: tables
-- What is audited, the manual's roles, and the key of signed claims as the two pads of an HMAC.
create table if not exists tabsync_audit.settings (name text primary key, value jsonb not null);
create table if not exists tabsync_audit.tables (
  schema_name text not null,
  table_name text not null,
  must boolean not null,
  entity text not null,
  key_columns text[] not null,
  secret_columns text[] not null,
  primary key (schema_name, table_name)
);
create table if not exists tabsync_audit.roles (role text primary key, above text[] not null, sign_up boolean not null);
create table if not exists tabsync_audit.secret (inner_pad bytea not null, outer_pad bytea not null);
create sequence if not exists tabsync_audit.gaps minvalue 0 start 0;
create sequence if not exists tabsync_audit.last_gap minvalue 0 start 0;
grant select on sequence tabsync_audit.gaps, tabsync_audit.last_gap to pg_monitor

-- name: owned
-- One thing after another is the role's.
alter {kind} tabsync_audit.{name} owner to {owner}

-- name: start_counters
-- From here on their last_value is the number itself; one that has counted stays.
select setval('tabsync_audit.gaps', 0) where not (select is_called from tabsync_audit.gaps);
select setval('tabsync_audit.last_gap', 0) where not (select is_called from tabsync_audit.last_gap)

-- name: keep_setting
-- What was found before the first change; a repeated step finds it there.
insert into tabsync_audit.settings (name, value) values (%(name)s, %(value)s) on conflict (name) do nothing

-- name: write_setting
-- The same, anew.
insert into tabsync_audit.settings (name, value) values (%(name)s, %(value)s)
on conflict (name) do update set value = excluded.value

-- name: secret
-- Once.
insert into tabsync_audit.secret (inner_pad, outer_pad)
select %(inner)s, %(outer)s where not exists (select from tabsync_audit.secret)

-- name: log_no_values
-- A server that logs statements would log what is bound to them. Who may not set it, may not.
-- https://www.postgresql.org/docs/current/runtime-config-logging.html#GUC-LOG-PARAMETER-MAX-LENGTH
select set_config(name, '0', true)
  from unnest(array['log_parameter_max_length', 'log_parameter_max_length_on_error']) as name
 where has_parameter_privilege(name, 'set')

-- name: forget_secret
-- Before another one is written in the same transaction.
delete from tabsync_audit.secret

-- name: forget_tables
-- All rows, before they are written anew in the same transaction.
delete from tabsync_audit.tables

-- name: write_table
-- One audited table.
insert into tabsync_audit.tables (schema_name, table_name, must, entity, key_columns, secret_columns)
values (%(schema)s, %(name)s, %(must)s, %(entity)s, %(keys)s, %(secret)s)

-- name: forget_roles
-- The same of the roles.
delete from tabsync_audit.roles

-- name: write_role
-- One role of the manual.
insert into tabsync_audit.roles (role, above, sign_up) values (%(role)s, %(above)s, %(sign_up)s)

-- name: function
-- Times, numbers and bytes are written the same way whatever the session has set, so that they can be read again.
create or replace function tabsync_audit.{name}({arguments}) returns {returns} language plpgsql {volatility}
{settings} as {body}

-- name: own_function
-- Nobody calls it but through a trigger, or another function of the role.
alter function tabsync_audit.{name}({arguments}) owner to {owner};
revoke all on function tabsync_audit.{name}({arguments}) from public

-- name: use_schema
-- The functions write the log where it is, and read a table before it is truncated.
grant usage on schema {schema} to {owner}

-- name: own_in_schema
-- Who is no superuser can give the log only to a role that could have created it there.
grant create on schema {schema} to {owner}

-- name: read_table
-- Only before a TRUNCATE.
grant select on {table} to {owner}

-- name: trigger
-- AFTER, so it sees what the statement did in the end; two names for the rows, as one with transition tables has one
-- event only. https://www.postgresql.org/docs/current/sql-createtrigger.html
create or replace trigger {name} after {event} on {table} {referencing}
for each statement execute function tabsync_audit.{function}({arguments})

-- name: trigger_truncate
-- BEFORE: afterwards there is nothing left to see.
create or replace trigger {name} before truncate on {table}
for each statement execute function tabsync_audit.{function}({arguments})

-- name: trigger_keep
-- The log's own.
create or replace trigger {name} before update or delete or truncate on {table}
for each statement execute function tabsync_audit.keep()

-- name: always
-- Also where session_replication_role is replica.
alter table {table} enable always trigger {name}

-- name: records
-- Whether all that a table does is recorded already.
select count(*) = 4 as whole from pg_trigger
 where tgrelid = %(table)s::text::regclass and tgenabled = 'A' and tgname like 'tabsync\_audit\_%%'

-- name: recorded_since
-- Since when a table is recorded without a break that we know of.
insert into tabsync_audit.settings (name, value) values ('recorded', jsonb_build_object(%(table)s::text, clock_timestamp()))
on conflict (name) do update set value = settings.value || excluded.value

-- name: settings
-- What was kept.
select name, value from tabsync_audit.settings order by name

-- name: now
-- The server's clock decides what the current month is.
select now() as now

-- name: installed
-- Whether the schema is there, with its settings.
select to_regclass('tabsync_audit.settings') is not null as installed

-- name: know_gaps
-- The changes that are missing so far are known to somebody.
insert into tabsync_audit.settings (name, value)
select 'gaps_known', to_jsonb(last_value) from tabsync_audit.gaps
on conflict (name) do update set value = excluded.value
