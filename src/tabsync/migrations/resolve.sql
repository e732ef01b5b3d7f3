-- name: fires
-- What would run somebody's code when a row of the history is written.
select 'the trigger ' || t.tgname as what from pg_trigger t where t.tgrelid = %(table)s::text::regclass and not t.tgisinternal
union all
select 'the rule ' || r.rulename from pg_rewrite r where r.ev_class = %(table)s::text::regclass
union all
select 'the constraint ' || k.conname from pg_constraint k
 where k.conrelid = %(table)s::text::regclass and k.contype in ('c', 'x', 'f', 't')
union all
select 'a default or a generated column' from pg_attrdef d
  join pg_depend p on p.classid = 'pg_attrdef'::regclass and p.objid = d.oid and p.refobjid >= 16384
   and p.refclassid in ('pg_proc'::regclass, 'pg_operator'::regclass)
 where d.adrelid = %(table)s::text::regclass
union all
select 'an index that computes something' from pg_index i
 where i.indrelid = %(table)s::text::regclass and (i.indexprs is not null or i.indpred is not null)
union all
select 'a table that inherits from it' from pg_inherits i where i.inhparent = %(table)s::text::regclass
limit 1

-- name: hold
-- So that nobody gives it a trigger between the look and the writing.
lock table only {table} in share row exclusive mode

-- name: lock
-- The guard's and Prisma's own, so that no deployment runs meanwhile.
select pg_try_advisory_xact_lock(%(number)s::bigint) as free

-- name: rolled_back
-- As `prisma migrate resolve --rolled-back` notes it.
update only {table} set rolled_back_at = clock_timestamp()
 where migration_name = %(name)s and finished_at is null and rolled_back_at is null
returning id::text

-- name: applied
-- As `prisma migrate resolve --applied` does: a row that is finished, without steps.
insert into {table} (id, checksum, finished_at, migration_name, logs, rolled_back_at, started_at, applied_steps_count)
values (gen_random_uuid()::text, %(digest)s, clock_timestamp(), %(name)s, '', null, clock_timestamp(), 0)
returning id::text
