-- name: who
-- Which backend answers: behind a pooler it is another one than the connection was told. Only where it is the same one
-- is anything set. Whatever the search_path is by now, no name here is looked up in it.
select pg_catalog.pg_backend_pid(),
       pg_catalog.current_setting('tabsync.session', true),
       case when pg_catalog.pg_backend_pid() operator(pg_catalog.=) %(pid)s::pg_catalog.int4
            then pg_catalog.set_config('search_path', %(search_path)s, false) end

-- name: role
-- The rights of the user who logged in, and the search_path: the first thing that is set behind a pooler.
select pg_catalog.set_config('search_path', %(search_path)s, %(local)s), pg_catalog.set_config('role', 'none', %(local)s)

-- name: settle
-- Sets what a session of ours depends on, and takes back what else the role or the database presets. An application's own
-- settings (app.tenant) stay: triggers read them. So do those of the log, which are the administrator's.
with ours as (
  select w.name, w.value
    from rows from (pg_catalog.unnest(%(names)s::text[]), pg_catalog.unnest(%(values)s::text[])) w(name, value)
), chosen as (
  -- pg_settings is gone through once: that is most of what a session of ours costs the server.
  select s.name, case when o.name is null then s.boot_val else o.value end as value
    from pg_catalog.pg_settings s
    left join ours o on o.name = s.name
   where case when o.name is not null then s.setting is distinct from o.value and s.context in ('user', 'superuser')
              else s.source in ('database', 'user', 'database user')
                   and s.context = 'user'
                   and s.boot_val is not null
                   and s.name not like '%%.%%'
                   and s.name not like 'log\_%%'
                   and s.name not in ('search_path', 'client_encoding') end
)
select c.name, pg_catalog.set_config(c.name, c.value, %(local)s) from chosen c

-- name: search_path
-- Sets only this.
select pg_catalog.set_config('search_path', %(search_path)s, %(local)s)

-- name: as_application
-- Sets it to what the database presets for everybody, else what this session came with: an application's names are meant
-- by it.
select pg_catalog.set_config('search_path', coalesce(
         (select pg_catalog.substr(c.setting, 13)
            from pg_catalog.pg_db_role_setting d
           cross join pg_catalog.unnest(d.setconfig) c(setting)
           where d.setrole = 0
             and d.setdatabase = (select oid from pg_catalog.pg_database where datname = pg_catalog.current_database())
             and c.setting like 'search\_path=%%'),
         (select reset_val from pg_catalog.pg_settings where name = 'search_path'), ''), %(local)s)

-- name: values
-- What some settings are.
select name, setting from pg_catalog.pg_settings where name = any(%(names)s::text[])
