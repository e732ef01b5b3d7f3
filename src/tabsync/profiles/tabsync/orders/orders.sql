-- name: commit_here
-- A pause holds once it is committed here, and it can't wait for a synchronous standby that is gone.
-- https://www.postgresql.org/docs/current/runtime-config-wal.html#GUC-SYNCHRONOUS-COMMIT
select set_config('synchronous_commit', 'local', false)

-- name: lock
-- Until the end of the transaction nobody puts something else in the place of what is looked at and then read.
-- https://www.postgresql.org/docs/current/sql-lock.html
lock table only {table} in {mode} mode

-- name: holds_schema
-- Whether what runs here would have a superuser's rights, where something can change.
select rolsuper and not pg_is_in_recovery() as it_is from pg_roles where rolname = current_user

-- name: hold_schema
-- Nor is the schema renamed, which needs none of those locks. It holds up nothing else, and no GRANT holds it up.
-- https://www.postgresql.org/docs/current/explicit-locking.html#LOCKING-ROWS
select from pg_namespace where nspname = 'public' for key share

-- name: tables
-- What stands under the names that are used: its kind, whether each column is there with PostgreSQL's own type (or which
-- one isn't), what we may do; for a superuser also the owner, if that one isn't: as whom the table's triggers run. Where the
-- owner is a superuser too, a trigger that is somebody else's: the privilege TRIGGER is enough to make one.
select w.name, c.relkind::text as kind,
       (select min(n.column_name) from unnest(w.columns, w.types) n(column_name, type)
         where not exists (select from pg_attribute a where a.attrelid = c.oid and a.attname = n.column_name
                              and a.attnum > 0 and not a.attisdropped and a.atttypid = to_regtype(n.type))) as lacks,
       has_table_privilege(c.oid, 'select') as may_read, has_table_privilege(c.oid, 'insert') as may_insert,
       has_table_privilege(c.oid, 'update') as may_update,
       coalesce((select o.rolname::text from pg_roles o, pg_roles me
                  where o.oid = c.relowner and not o.rolsuper and me.rolname = current_user and me.rolsuper), '') as owner,
       coalesce((select min(t.tgname::text)
                   from pg_trigger t
                   join pg_proc p on p.oid = t.tgfoid
                   join pg_roles f on f.oid = p.proowner and not f.rolsuper
                   join pg_roles o on o.oid = c.relowner and o.rolsuper
                   join pg_roles me on me.rolname = current_user and me.rolsuper
                  where t.tgrelid = c.oid and t.tgenabled <> 'D'), '') as foreign_trigger
  from (values
    ('restaurants', array['id', 'name', 'slug', 'accepts_orders'], array['uuid', 'text', 'text', 'bool']),
    ('orders', array['created_at'], array['timestamptz']),
    ('order_pauses',
     array['id', 'restaurant_id', 'reason', 'paused_by', 'run_id', 'paused_at', 'ends_at', 'drained_at', 'ended_at',
           'ended_by'],
     array['int8', 'uuid', 'text', 'text', 'text', 'timestamptz', 'timestamptz', 'timestamptz', 'timestamptz', 'text']),
    ('order_gate', array['closed_at'], array['timestamptz'])) w(name, columns, types)
  left join pg_class c on c.relname = w.name
   and c.relnamespace = (select oid from pg_namespace where nspname = 'public')
 where w.name = any (%(names)s)
 order by w.name

-- name: admission
-- What lets orders in: its text, and whether it sees the pauses: it reads them with its owner's rights.
select p.prosrc as source, l.lanname::text as language, p.proconfig as settings,
       p.prosecdef and has_table_privilege(p.proowner, c.oid, 'select')
         and (not c.relrowsecurity or o.rolsuper or o.rolbypassrls
              or not c.relforcerowsecurity and p.proowner = c.relowner) as sees
  from pg_proc p
  join pg_language l on l.oid = p.prolang
  join pg_roles o on o.oid = p.proowner
  join pg_class c on c.oid = to_regclass('public.order_pauses')
 where p.oid = to_regprocedure('public.orders_admission()')

-- name: triggers
-- What happens to an order before it is written, with the bits of pg_trigger.h: 1 row, 2 before, 4 insert, 16 update.
select t.tgname::text as name, t.tgenabled::text as enabled, pg_get_triggerdef(t.oid) as definition, p.prosrc as source,
       t.tgfoid = to_regprocedure('public.orders_admission()') as admits,
       t.tgtype & 4 <> 0 as inserts, t.tgtype & 16 <> 0 as updates
  from pg_trigger t
  join pg_proc p on p.oid = t.tgfoid
 where t.tgrelid = to_regclass('public.orders') and not t.tgisinternal and t.tgtype & 3 = 3 and t.tgtype & 20 <> 0
 order by t.tgname

-- name: around
-- What brings orders in past triggers: sessions and subscriptions for which they don't fire, tables that inherit.
select coalesce((select array_agg(distinct coalesce(r.rolname::text, 'every role'))
                   from pg_db_role_setting d
                   left join pg_roles r on r.oid = d.setrole
                  where d.setdatabase in (0, (select oid from pg_database where datname = current_database()))
                    and exists (select from unnest(d.setconfig) c(setting)
                                 where lower(c.setting) = 'session_replication_role=replica')), '{}'::text[]) as replicas,
       exists (select from pg_subscription_rel s where s.srrelid = to_regclass('public.orders')) as subscribed,
       exists (select from pg_inherits i where i.inhparent = to_regclass('public.orders')) as inherited

-- name: restaurant
-- The restaurants that somebody may mean: by slug, by id, else by name.
select r.id::text as id, r.slug, r.name,
       case when r.slug = %(said)s then 1 when r.id::text = lower(%(said)s) then 2
            when r.name = %(said)s then 3 else 4 end as by
  from only public.restaurants r
 where r.slug = %(said)s or r.id::text = lower(%(said)s) or lower(r.name) = lower(%(said)s)
 order by 4, r.slug
 limit 10

-- name: standing
-- The pauses that stand now, by the database's clock.
select p.id, p.restaurant_id::text as restaurant_id, r.slug, r.name, p.reason, p.paused_by, p.run_id, p.paused_at, p.ends_at,
       p.drained_at
  from only public.order_pauses p
  left join only public.restaurants r on r.id = p.restaurant_id
 where p.ended_at is null and p.ends_at > clock_timestamp()
 order by p.ends_at desc, p.id

-- name: clock
-- What the database's clock says.
select clock_timestamp() as now

-- name: written
-- The pause of a run.
select p.id, p.paused_at, p.ends_at, p.ended_at is null as stands from only public.order_pauses p where p.run_id = %(run)s

-- name: counts
-- How many restaurants take orders by what their owners have set, and how many of these are paused.
with standing as (
  select p.restaurant_id from only public.order_pauses p where p.ended_at is null and p.ends_at > clock_timestamp()
)
select count(*) filter (where r.accepts_orders) as accepting,
       count(*) filter (where not r.accepts_orders) as closed,
       count(*) filter (where r.accepts_orders and (exists (select from standing s where s.restaurant_id is null)
                          or r.id in (select s.restaurant_id from standing s where s.restaurant_id is not null))) as paused
  from only public.restaurants r

-- name: closed
-- Those that their owners have closed.
select r.slug, r.name from only public.restaurants r where not r.accepts_orders order by r.slug limit %(limit)s

-- name: briefly
-- What comes in this transaction is not worth waiting for: nobody who wants to pause waits for a count.
select set_config('statement_timeout', '2s', true)

-- name: recent
-- How many orders came in lately.
select count(*) as orders, max(o.created_at) as last
  from only public.orders o
 where o.created_at > clock_timestamp() - make_interval(mins => %(minutes)s) and o.created_at <= clock_timestamp()

-- name: gate
-- When the gate was closed last.
select max(g.closed_at) as closed_at from only public.order_gate g

-- name: pause
-- Writes a pause, once for each run. Both times are of one reading of the clock.
with written as (
  insert into public.order_pauses (restaurant_id, reason, paused_by, run_id, paused_at, ends_at)
  select {restaurant}::pg_catalog.uuid, {reason}, {who}, {run}, c.now,
         c.now operator(pg_catalog.+) pg_catalog.make_interval(secs => {seconds}::pg_catalog.float8)
    from (select pg_catalog.clock_timestamp() as now) c
  on conflict on constraint order_pauses_run_id_key do nothing
  returning 1)
select pg_catalog.count(*) from written

-- name: resume
-- Ends the pauses that were planned, if they still stand.
with written as (
  update public.order_pauses p
     set ended_at = pg_catalog.clock_timestamp(), ended_by = {who}
   where p.id operator(pg_catalog.=) any ({ids}::pg_catalog.int8[]) and p.ended_at is null
     and p.ends_at operator(pg_catalog.>) pg_catalog.clock_timestamp()
  returning 1)
select pg_catalog.count(*) from written

-- name: ended
-- What became of some pauses.
select p.id, p.ends_at, p.ended_at, p.ended_by from only public.order_pauses p where p.id = any (%(ids)s) order by p.id

-- name: drained
-- Notes that no order of before these pauses is under way any more.
with written as (
  update public.order_pauses p
     set drained_at = pg_catalog.clock_timestamp()
   where p.drained_at is null and p.ended_at is null and p.ends_at operator(pg_catalog.>) pg_catalog.clock_timestamp()
     and p.id operator(pg_catalog.=) any ({ids}::pg_catalog.int8[])
  returning 1)
select pg_catalog.count(*) from written

-- name: free_gate
-- Whether nobody holds the gate; then we do.
select 1 from only public.order_gate for no key update skip locked

-- name: close_gate
-- Snapshots that are older than this can't order any more. It may be missing: somebody has deleted the row.
with written as (
  insert into public.order_gate (id) values (true)
  on conflict (id) do update set closed_at = pg_catalog.clock_timestamp()
  returning 1)
select pg_catalog.count(*) from written

-- name: writing
-- The transactions that are writing orders, with who does so: each holds this lock until it ends. A prepared one has no
-- process, and keeps the lock of its own number: the oldest, as those of its subtransactions come after it.
-- https://www.postgresql.org/docs/current/explicit-locking.html#LOCKING-TABLES
select w.transaction, w.number, w.pid, x.gid, w.wrote_restaurants,
       coalesce(a.application_name, '') as application, coalesce(a.usename::text, x.owner::text, '') as "user",
       coalesce(a.xact_start, x.prepared) as since
  from (select l.virtualtransaction as transaction, l.pid,
               (array_agg(l.transactionid::text order by age(l.transactionid) desc)
                  filter (where l.locktype = 'transactionid'))[1] as number,
               coalesce(bool_or(l.relation = to_regclass('public.restaurants')), false) as wrote_restaurants
          from pg_locks l
         where l.granted and l.pid is distinct from pg_backend_pid()
           and (l.locktype = 'transactionid' and l.mode = 'ExclusiveLock'
                or l.locktype = 'relation' and l.mode = 'RowExclusiveLock'
                   and l.database = (select oid from pg_database where datname = current_database())
                   and l.relation in (to_regclass('public.orders'), to_regclass('public.restaurants')))
         group by l.virtualtransaction, l.pid
        having bool_or(l.relation = to_regclass('public.orders'))) w
  left join pg_stat_activity a on a.pid = w.pid
  left join pg_prepared_xacts x on w.pid is null and x.transaction::text = w.number
 order by since, w.pid

-- name: free_restaurants
-- Of some restaurants, those in which no order is under way: each holds a lock on its restaurant's row.
select r.id::text as id from only public.restaurants r
 where r.id = any (%(ids)s::uuid[])
   for no key update skip locked

-- name: restaurants
-- All that there are.
select r.id::text as id from only public.restaurants r
