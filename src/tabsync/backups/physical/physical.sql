-- name: may_replicate
-- Whether this user may take a base backup, and whether the server has WAL that one could recover with.
select rolsuper or rolreplication as may_replicate,
       current_setting('wal_level') as wal_level,
       current_setting('max_wal_senders')::int as max_wal_senders,
       current_setting('summarize_wal', true) as summarize_wal
  from pg_roles
 where rolname = current_user

-- name: cluster
-- What a restored cluster has to know before it runs. The name of the first superuser is free to choose at initdb.
select (select rolname::text from pg_roles where oid = 10) as superuser,
       pg_size_bytes(current_setting('wal_segment_size')) as wal_segment_size,
       (select array_agg(datname::text order by datname) from pg_database where not datistemplate) as databases,
       (select coalesce(sum(pg_database_size(oid)), 0)::bigint
          from pg_database where has_database_privilege(oid, 'connect')) as bytes

-- name: tablespaces
-- Tablespaces outside of the data directory.
select oid::bigint as oid, spcname::text as name, pg_tablespace_location(oid) as location
  from pg_tablespace
 where pg_tablespace_location(oid) <> ''
 order by oid

-- name: pin_wal
-- Keeps the server from removing WAL that the base backup needs, until this session ends.
select pg_create_physical_replication_slot(%(name)s, true, true)

-- name: next_xid
-- Transactions from this one on begin later than now; asking gives none out.
select pg_snapshot_xmax(pg_current_snapshot())::text as next_xid
