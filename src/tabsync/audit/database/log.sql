-- name: create
-- Where there is no log yet: the columns that the manual's own statements name.
create table {log} (
  id bigint not null,
  user_id uuid,
  action text not null,
  entity_type text not null,
  entity_id text not null,
  old_value jsonb,
  new_value jsonb,
  created_at timestamptz not null default now(),
  constraint {key} primary key (id)
);
create sequence {sequence} owned by {log}.id;
alter table {log} alter column id set default nextval({sequence_name}::regclass);
create index on {log} (entity_id);
create index on {log} using brin (created_at)

-- name: add_columns
-- All nullable and without a default, so no row is written anew.
-- https://www.postgresql.org/docs/current/sql-altertable.html#SQL-ALTERTABLE-NOTES
alter table {log} {columns}

-- name: check
-- Not looked at in the rows that are there: that comes next, and keeps nobody from writing.
alter table {log} add constraint tabsync_until check (created_at < {until}) not valid

-- name: validate
-- SHARE UPDATE EXCLUSIVE: others read and write meanwhile.
alter table {log} validate constraint tabsync_until

-- name: created_at_not_null
-- A partition by time takes no row without one. The condition is checked like the other, so SET NOT NULL reads nothing.
alter table {log} add constraint tabsync_dated check (created_at is not null) not valid;

-- name: key
-- For the key of the partitioned table; whoever writes is not kept from it.
create unique index concurrently {name} on {table} (id, created_at)

-- name: index
-- The same.
create index concurrently {name} on {table} {what}

-- name: index_parent
-- On the partitioned table, and with it on each partition to come.
create index {name} on {table} {what}

-- name: drop_index
-- One that was left by an attempt that failed.
drop index concurrently if exists {index}

-- name: lock
-- First, so that what follows waits for nobody.
lock table {log} in access exclusive mode

-- name: new_key
-- The index is there already, so this reads no row.
alter table {log} drop constraint {old}, add constraint {name} primary key using index {index}

-- name: drop_constraint
-- One of ours that has done its work.
alter table {log} drop constraint {name}

-- name: not_null
-- The condition that was validated proves it.
alter table {log} alter column {column} set not null

-- name: drop_identity
-- A column of a partition can't have one: https://www.postgresql.org/docs/current/ddl-partitioning.html
alter table {log} alter column id drop identity

-- name: sequence_state
-- Where it is, and how it goes on.
select s.last_value, s.is_called, p.seqincrement as increment, p.seqcache as cache, p.seqmax as maximum
  from {sequence} s, pg_sequence p where p.seqrelid = {sequence_name}::regclass

-- name: new_sequence
-- The same again, by the same name.
create sequence {sequence} increment {increment} maxvalue {maximum} cache {cache};
select setval({sequence_name}::regclass, {last_value}, {is_called})

-- name: free_sequence
-- Its owner can't be changed while it belongs to the column.
alter sequence {sequence} owned by none

-- name: own_sequence
-- It goes with the log; who may insert may take the next number.
alter sequence {sequence} owner to {owner};
alter sequence {sequence} owned by {log}.id

-- name: rename
-- The old table keeps its rows, and gives its name to the partitioned one.
alter table {log} rename to {name}

-- name: rename_index
-- So that the new table's get the names that people know.
alter index {index} rename to {name}

-- name: partitioned
-- Like the old one, index by index.
create table {log} (like {old} including all excluding identity) partition by range (created_at)

-- name: default_of
-- Whoever inserts directly may not name these columns: this is what is known of him.
alter table {log}
  alter column id set default nextval({sequence_name}::regclass),
  alter column xid set default pg_current_xact_id(),
  alter column origin set default 'statement',
  alter column db_user set default session_user,
  alter column db_role set default nullif(current_setting('role'), 'none'),
  alter column app set default current_setting('application_name'),
  alter column client set default inet_client_addr()

-- name: no_id_default
-- Nothing is inserted into it directly.
alter table {log} alter column id drop default

-- name: own
-- The log is the role's, and so is what is below it.
alter table {log} owner to {owner}

-- name: like
-- A partition that isn't one yet: nobody waits for it.
create table {part} (like {log} including all excluding identity)

-- name: drop_next
-- What an attempt that was ended has made, with its partitions.
drop table if exists {log}

-- name: attach
-- SHARE UPDATE EXCLUSIVE: https://www.postgresql.org/docs/current/sql-altertable.html#SQL-ALTERTABLE-ATTACH-PARTITION
alter table {log} attach partition {part} for values from ({since}) to ({until})

-- name: attach_default
-- For the rows of times that have no partition.
alter table {log} attach partition {part} default

-- name: revoke_all
-- From whom had anything.
revoke all on {table} from {role} cascade

-- name: revoke_columns
-- The same of columns, which a table's REVOKE takes with it.
revoke all ({columns}) on {table} from {role} cascade

-- name: may_read
-- As it was before.
grant select on {log} to {role}

-- name: may_insert
-- All columns but the number, and those that only our functions write.
grant insert ({columns}) on {log} to {role}

-- name: may_count
-- The number comes from there.
grant usage on sequence {sequence} to {role}

-- name: newest
-- The latest time in it, which is read once.
select max(created_at) as newest, now() as now from {log}
