-- name: lock
-- One deployment at a time, as `prisma migrate deploy` does it.
select pg_advisory_lock(%(number)s::bigint)

-- name: table
-- The history, with the columns that Prisma documents.
-- https://www.prisma.io/docs/orm/prisma-migrate/understanding-prisma-migrate/migration-histories
create table if not exists public._prisma_migrations (
  id varchar(36) primary key, checksum varchar(64) not null, finished_at timestamptz, migration_name varchar(255) not null,
  logs text, rolled_back_at timestamptz, started_at timestamptz not null default now(), applied_steps_count integer not null default 0)

-- name: failed
-- A migration that has failed, and that nobody has resolved.
select migration_name from public._prisma_migrations where finished_at is null and rolled_back_at is null limit 1

-- name: applied
-- The migrations that are done.
select migration_name from public._prisma_migrations where finished_at is not null and rolled_back_at is null

-- name: begun
-- A migration begins.
insert into public._prisma_migrations (id, checksum, migration_name) values (%(id)s, %(checksum)s, %(name)s)

-- name: finished
-- It has ended.
update public._prisma_migrations set finished_at = clock_timestamp(), applied_steps_count = 1 where id = %(id)s

-- name: said
-- It has failed, with what the server said.
update public._prisma_migrations set logs = %(logs)s where id = %(id)s
