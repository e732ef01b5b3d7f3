-- name: canary
-- A commit that is a message in the WAL and nothing else; the message alone gives it a transaction id.
select pg_logical_emit_message(true, %(prefix)s, %(text)s)

-- name: clock
-- After a commit: it was before this moment.
select clock_timestamp()

-- name: primary_key
-- The columns of a table's primary key.
select a.attname::text
  from pg_index i
  join pg_attribute a on a.attrelid = i.indrelid and a.attnum = any (i.indkey)
 where i.indrelid = %(table)s::regclass and i.indisprimary
 order by a.attnum
