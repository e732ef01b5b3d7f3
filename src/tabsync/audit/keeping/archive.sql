-- name: copy_out
-- All of it, in the order of its numbers, as text that any PostgreSQL reads again.
copy (select {columns} from {part} order by id) to stdout

-- name: hashes
-- What the seals have of these entries, so that a chain without them is still whole; in the seals' order.
select count(*) as rows, coalesce(string_agg(int8send(l.id) || {entry}, '' order by l.xid, l.id), '') as hashes
  from {part} as l

-- name: unsealed
-- Whether something in it waits for a seal; true where nothing was ever sealed. Histories that have ended are sealed whole.
select exists (select from {part} as l
                where l.xid is not null
                  and l.id > (select epoch_from from tabsync_audit.seals order by n desc limit 1)
                  and (l.xid, l.id) > (select to_xid, last_id from tabsync_audit.seals order by n desc limit 1))
       or not exists (select from tabsync_audit.seals) as unsealed

-- name: archives
-- What is in the stores, and no more in the database.
create table if not exists tabsync_audit.archives (
  n bigint generated always as identity primary key,
  part text not null,
  since timestamptz,
  until timestamptz not null,
  rows bigint not null,
  name text not null,
  digest text not null,
  ids_and_hashes bytea not null,
  archived_at timestamptz not null default now()
);
alter table tabsync_audit.archives drop constraint if exists archives_part_key;
alter table tabsync_audit.archives owner to {owner};
create table if not exists tabsync_audit.marks (
  n bigint generated always as identity primary key,
  id bigint not null,
  was text not null,
  now text not null,
  xid text not null,
  at timestamptz not null
);
alter table tabsync_audit.marks owner to {owner}

-- name: marks
-- The marks of erasures in a month that goes: entries that stay, or that went before, are known by them.
insert into tabsync_audit.marks (id, was, now, xid, at)
select (new_value ->> 'id')::bigint, new_value ->> 'was', new_value ->> 'now', coalesce(xid::text, ''), created_at
  from {part} as l where action = 'ERASE' and origin = 'function' order by l.id

-- name: last
-- Under which name a month is in the stores.
select name from tabsync_audit.archives where part = %(part)s order by n desc limit 1

-- name: note
-- In the transaction that drops it.
insert into tabsync_audit.archives (part, since, until, rows, name, digest, ids_and_hashes)
values (%(part)s, %(since)s, %(until)s, %(rows)s, %(name)s, %(digest)s, %(hashes)s)

-- name: detach
-- A default partition keeps it from being done CONCURRENTLY: the lock comes soon, or it is tried again.
alter table {log} detach partition {part}

-- name: drop
-- Its entries are in the store.
drop table {part}

-- name: hold
-- Nothing goes, and nothing is masked, while it is there.
insert into tabsync_audit.settings (name, value) values ('hold', %(hold)s)
on conflict (name) do update set value = excluded.value

-- name: release
-- No more.
delete from tabsync_audit.settings where name = 'hold'
