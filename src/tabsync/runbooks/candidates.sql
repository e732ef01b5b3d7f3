-- What a step of a runbook may be about, the likeliest first.

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
