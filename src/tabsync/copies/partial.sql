-- name: drop_checks
-- For a copy that is only read: the statements that drop the CHECKs of tables and domains.
select case when k.contypid <> 0
            then format('alter domain %%I.%%I drop constraint %%I', tn.nspname, t.typname, k.conname)
            else format('alter table %%I.%%I drop constraint %%I', n.nspname, c.relname, k.conname) end
  from pg_constraint k
  left join pg_class c on c.oid = k.conrelid
  left join pg_namespace n on n.oid = c.relnamespace
  left join pg_type t on t.oid = k.contypid
  left join pg_namespace tn on tn.oid = t.typnamespace
 where k.contype = 'c' and k.oid >= 16384 and k.coninhcount = 0
 order by 1
