-- name: table
-- What the seals are kept in. epoch_from: its entries have numbers above; mark: why an epoch began or ended.
create table if not exists tabsync_audit.seals (
  n bigint primary key,
  to_xid xid8 not null,
  last_id bigint not null,
  rows integer not null,
  ids_and_hashes bytea not null,
  previous bytea not null,
  head bytea not null,
  cluster text not null,
  timeline integer not null,
  epoch integer not null,
  epoch_from bigint not null,
  mark text not null,
  sealed_at timestamptz not null
);
create sequence if not exists tabsync_audit.last_sealed minvalue 0 start 0;
grant select on sequence tabsync_audit.last_sealed to pg_monitor

-- name: has_seals
-- Whether the log is installed, and whether we may read its seals. By the catalog: a name in a schema that we may not use
-- would be an error.
select count(*) = 2 as there,
       coalesce(bool_and(has_schema_privilege(n.oid, 'usage') and has_table_privilege(c.oid, 'select')), false) as readable
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
 where n.nspname = 'tabsync_audit' and c.relname in ('seals', 'settings') and c.relkind = 'r'

-- name: installed
-- The table of the log.
select coalesce((select value #>> '{}' from tabsync_audit.settings where name = 'log'), '') as log

-- name: cluster
-- Which cluster and database this is. Its timeline is a new one after each recovery and each failover, so both may
-- have lost what was sealed before. The WAL that is written now says so at once, the control file after a checkpoint.
select case when has_function_privilege('pg_control_system()', 'execute')
            then (select system_identifier::text from pg_control_system()) else 'unknown' end
         || '/' || (select oid::text from pg_database where datname = current_database()) as cluster,
       case when not pg_is_in_recovery() then ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int
            when has_function_privilege('pg_control_checkpoint()', 'execute')
            then (select timeline_id from pg_control_checkpoint()) else 0 end as timeline

-- name: one_at_a_time
-- Two that seal would give the same number twice; the second one leaves it to the first.
select pg_try_advisory_xact_lock(hashtextextended('tabsync_audit seal', 0)) as free

-- name: newest
select n, to_xid::text, last_id, rows, ids_and_hashes as hashes, previous, head, cluster, timeline, epoch, epoch_from,
       mark, to_char(sealed_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as sealed_at
  from tabsync_audit.seals order by n desc limit 1

-- name: horizon
-- Every transaction below has ended, one way or the other: nothing can come into the log under its number any more.
-- https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-INFO-SNAPSHOT
select pg_snapshot_xmin(pg_current_snapshot())::text as horizon

-- name: last_id
select coalesce(max(id), 0) as last_id from {log}

-- name: last_id_before
-- The last entry from before the install: it has no transaction.
select coalesce(max(id), 0) as last_id from {log} where xid is null

-- name: still
-- Nobody writes to the log from here to the end of this transaction: only where a history begins.
lock table {log} in share mode

-- name: batch
-- The next entries to seal, a page of them, in the order of transaction and number.
with page as (
  select l.id, l.xid, {entry} as hash
    from {log} as l
   where (l.xid, l.id) > (%(after_xid)s::text::xid8, %(after_id)s::bigint)
     and (%(horizon)s::text is null or l.xid < %(horizon)s::text::xid8)
     and l.id > %(from_id)s::bigint
   order by l.xid, l.id
   limit %(most)s)
select count(*) as rows,
       (array_agg(xid::text order by xid desc, id desc))[1] as to_xid,
       (array_agg(id order by xid desc, id desc))[1] as last_id,
       coalesce(string_agg(int8send(id) || hash, '' order by xid, id), '') as hashes
  from page

-- name: seal
insert into tabsync_audit.seals
  (n, to_xid, last_id, rows, ids_and_hashes, previous, head, cluster, timeline, epoch, epoch_from, mark, sealed_at)
values
  (%(n)s, %(to_xid)s::text::xid8, %(last_id)s, %(rows)s, %(hashes)s, %(previous)s, %(head)s, %(cluster)s, %(timeline)s,
   %(epoch)s, %(epoch_from)s, %(mark)s, %(sealed_at)s::text::timestamptz)

-- name: sealed_until
-- For the monitor's role, which may not read the log: since when an entry waits, in seconds since 1970; now, if none does.
select setval('tabsync_audit.last_sealed',
              extract(epoch from coalesce(clock_timestamp() - %(seconds)s * interval '1 second', clock_timestamp()))::bigint)

-- name: waiting
-- The oldest entry that is not sealed yet, and how many there are, as far as they are counted.
select extract(epoch from clock_timestamp() - min(created_at))::float8 as seconds, count(*) as rows
  from (select l.created_at from {log} as l
         where (l.xid, l.id) > (%(after_xid)s::text::xid8, %(after_id)s::bigint) and l.id > %(from_id)s::bigint
         order by l.xid, l.id limit 100000) as open

-- name: stalled_by
-- Whose transaction holds the sealing back: the one that has the oldest number. A prepared one has no session.
select pid, application_name as app, usename::text as "user", state, datname::text as database,
       extract(epoch from clock_timestamp() - xact_start)::float8 as seconds
  from pg_stat_activity
 where backend_xid::text = (%(xid)s::text::numeric %% 4294967296)::text and pid <> pg_backend_pid()
union all
select null, gid, owner::text, 'prepared', database::text, extract(epoch from clock_timestamp() - prepared)::float8
  from pg_prepared_xacts where transaction::text = (%(xid)s::text::numeric %% 4294967296)::text
 limit 1

-- name: seals
select n, to_xid::text, last_id, rows, ids_and_hashes as hashes, previous, head, cluster, timeline, epoch, epoch_from,
       mark, to_char(sealed_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as sealed_at
  from tabsync_audit.seals where n > %(after)s order by n limit %(most)s

-- name: sealed_rows
-- The entries of a seal as they are now, in the order in which they were sealed.
select coalesce(string_agg(int8send(id) || hash, '' order by xid, id), '') as hashes
  from (select l.id, l.xid, {entry} as hash
          from {log} as l
         where (l.xid, l.id) > (%(after_xid)s::text::xid8, %(after_id)s::bigint)
           and (l.xid, l.id) <= (%(to_xid)s::text::xid8, %(last_id)s::bigint)
           and l.id > %(from_id)s::bigint
           and (%(until_id)s::bigint is null or l.id <= %(until_id)s::bigint)) as sealed

-- name: epoch_ends
-- The last number of an epoch's entries: where the next one begins.
select min(epoch_from) as until_id from tabsync_audit.seals where epoch = %(epoch)s::int + 1

-- name: beyond
-- Entries that no seal of an epoch that has ended can have: they came in later, under numbers of that time.
select id from {log}
 where id > %(from_id)s::bigint and id <= %(until_id)s::bigint
   and (xid is null or (xid, id) > (%(after_xid)s::text::xid8, %(after_id)s::bigint))
 order by id limit 1

-- name: without_transaction
-- Entries that look as if they were from before the install, and came later; and the other way round.
select id from {log}
 where (xid is null and id > %(first)s::bigint) or (xid is not null and id <= %(first)s::bigint)
 order by id limit 1

-- name: told_of
-- One entry, for people who have to find it.
select id, created_at::text, action::text, table_name, entity_type::text, entity_id::text,
       coalesce(actor, db_user) as who, origin, xid::text, {entry} as hash
  from {log} as l where id = %(id)s::bigint

-- name: erased
-- What was masked on purpose: the hash that an entry had, and the one that it has since. One erasure is one statement.
select (new_value ->> 'id')::bigint as id, new_value ->> 'was' as was, new_value ->> 'now' as now,
       coalesce(xid::text, '') as xid, created_at::text as at
  from {log} as l where action = 'ERASE' and origin = 'function' order by l.id

-- name: has_marks
select to_regclass('tabsync_audit.marks') is not null as there

-- name: erased_before
-- The same of marks whose month is in the stores.
select id, was, now, xid, at::text as at from tabsync_audit.marks order by n

-- name: has_archives
select to_regclass('tabsync_audit.archives') is not null as there

-- name: archived
-- What went to the stores with its month.
select name, ids_and_hashes as hashes from tabsync_audit.archives order by n

-- name: not_sealed
-- Columns that somebody else gave the log.
select attname::text as name from pg_attribute
 where attrelid = %(log)s::text::regclass and attnum > 0 and not attisdropped
   and attname not in ('id', 'xid', 'created_at', 'user_id', 'action', 'entity_type', 'entity_id', 'old_value', 'new_value',
                       'origin', 'table_name', 'db_user', 'db_role', 'app', 'client', 'actor', 'actor_how', 'reason')
 order by attnum

-- name: counted
-- From before the first seal, and since the last.
select count(*) filter (where xid is null) as before,
       (select count(*) from {log} as l
         where (l.xid, l.id) > (%(after_xid)s::text::xid8, %(after_id)s::bigint) and l.id > %(from_id)s::bigint) as since
  from {log} where xid is null

-- name: hashed
-- What of an entry is sealed: all of it, lengths included, so that no two contents look alike; NULL is not ''. Types are
-- PostgreSQL's own, which have the same numbers in every cluster; times go in as microseconds.
-- https://www.postgresql.org/docs/current/functions-binarystring.html
substr(sha256(record_send(row(
  l.id, l.xid, l.created_at, l.user_id::text, l.action::text, l.entity_type::text, l.entity_id::text, l.old_value::jsonb,
  l.new_value::jsonb, l.origin, l.table_name, l.db_user, l.db_role, l.app, l.client, l.actor, l.actor_how, l.reason))), 1, 16)
