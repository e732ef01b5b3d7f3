-- name: months
-- The months of which the default partition has entries; times far from now are left where they are.
select to_char(date_trunc('month', created_at at time zone 'UTC'), 'YYYY-MM-DD') as month, count(*) as rows
  from {table}
 where created_at >= {since} and created_at < {until}
 group by 1 order by 1

-- name: lock_log
-- Before the default partition, as ATTACH does it: in another order two would wait for each other.
lock table {log} in share update exclusive mode

-- name: lock_default
-- Who writes to it waits until this transaction ends; a month that has its partition goes on.
lock table {table} in access exclusive mode

-- name: move
-- Few enough to be moved while others wait.
with gone as (delete from {table} where created_at >= {since} and created_at < {until} returning *)
insert into {part} overriding system value select * from gone

-- name: move_rest
-- What has no time in the partition's months, and stays in the default.
with gone as (delete from {table} where created_at < {since} or created_at >= {until} returning *)
insert into {part} overriding system value select * from gone

-- name: far
-- Times that get no month.
select exists (select from {table} where created_at < {since} or created_at >= {until})

-- name: why
-- Lets the log's own triggers pass, which record it.
select set_config('tabsync.audit_change', %(why)s, true)

-- name: only
-- Checked beside the writers, so that ATTACH reads no row.
alter table {table} add constraint tabsync_only check (created_at >= {since} and created_at < {until}) not valid

-- name: validate_only
-- SHARE UPDATE EXCLUSIVE: others read and write meanwhile.
alter table {table} validate constraint tabsync_only

-- name: no_only
-- It has done its work, or is of an attempt that was ended.
alter table {table} drop constraint if exists tabsync_only

-- name: detach
-- In the transaction that attaches it again, and another default.
alter table {log} detach partition {table}

-- name: rename
-- The table keeps its entries.
alter table {table} rename to {name}

-- name: drop
-- One that was made for an attempt that was ended.
drop table if exists {table}

-- name: vacuum
-- Gives back the room of the entries that were moved.
vacuum {table}
