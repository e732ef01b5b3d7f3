-- name: body
-- Nobody makes a cast to json (114) by which a row would be recorded: it would run as the log's owner. Only a superuser
-- makes functions in C: 12 and 13 are the languages internal and c.
declare
  v_cast record;
begin
  for v_cast in
    select c.castsource, c.castfunc
      from pg_cast c
      join pg_proc p on p.oid = c.castfunc
     where c.castsource >= 16384 and c.casttarget = 114 and p.prolang not in (12, 13)
  loop
    raise exception 'a cast of % to JSON would run as the owner of the audit log, when a row is recorded', v_cast.castsource::regtype
      using errcode = 'insufficient_privilege', hint = 'Use a function without a cast.';
  end loop;
end

-- name: create
-- Of a superuser: nobody else can have one. https://www.postgresql.org/docs/current/sql-createeventtrigger.html
create event trigger tabsync_audit_cast on ddl_command_end when tag in ('CREATE CAST')
  execute function tabsync_audit.refuse_cast()

-- name: always
-- In sessions that replay, too.
alter event trigger tabsync_audit_cast enable always

-- name: drop
-- Whatever it calls.
drop event trigger if exists tabsync_audit_cast

-- name: there
-- The event trigger as it is, with its owner, and whether they are off in this database: a restored copy has them so.
select e.evtenabled::text as enabled, e.evtevent::text as event, e.evttags as tags, r.rolsuper as superuser,
       n.nspname::text || '.' || p.proname::text as function,
       exists (select from pg_db_role_setting s
                where s.setrole = 0 and 'event_triggers=off' = any (s.setconfig)
                  and s.setdatabase in (0, (select oid from pg_database where datname = current_database()))) as off
  from pg_event_trigger e
  join pg_roles r on r.oid = e.evtowner
  join pg_proc p on p.oid = e.evtfoid
  join pg_namespace n on n.oid = p.pronamespace
 where e.evtname = 'tabsync_audit_cast'
