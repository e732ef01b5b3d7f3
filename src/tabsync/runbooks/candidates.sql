-- What a step of a runbook may be about, the likeliest first.

-- name: sessions
-- Those of clients: the longest transaction first.
select pid
  from pg_stat_activity
 where backend_type = 'client backend' and pid <> pg_backend_pid() and application_name not like 'tabsync/%'
   and datname = current_database()
 order by xact_start nulls last, state_change
 limit 5

-- name: roles
-- Those with the most sessions.
select usename from pg_stat_activity where usename is not null group by usename order by count(*) desc limit 5

-- name: invalid_indexes
select quote_ident(n.nspname) || '.' || quote_ident(c.relname)
  from pg_index x
  join pg_class c on c.oid = x.indexrelid
  join pg_namespace n on n.oid = c.relnamespace
 where not x.indisvalid
 limit 5

-- name: slots
-- Those that keep the most WAL.
select slot_name from pg_replication_slots order by restart_lsn nulls last limit 5
