-- name: deferrable
-- The tables on which something could be put off to the end of the transaction, and isn't all a superuser's. Keys aren't:
-- PostgreSQL's own triggers look at them as the owner of the table does.
select n.nspname, c.relname
  from pg_trigger t
  join pg_constraint k on k.oid = t.tgconstraint and k.contype in ('t', 'x')
  join pg_class c on c.oid = t.tgrelid and c.relkind in ('r', 'f')
  join pg_namespace n on n.oid = c.relnamespace
  join pg_roles o on o.oid = c.relowner
  join pg_proc p on p.oid = t.tgfoid
  join pg_roles f on f.oid = p.proowner
 where t.tgdeferrable
   and not (o.rolsuper and f.rolsuper)
   and (c.relpersistence <> 't' or n.oid = pg_my_temp_schema())
 group by n.nspname, c.relname
 order by n.nspname, c.relname

-- name: touch
-- An error where a trigger of the table is still to fire; what it does is undone. It holds up nobody who reads or writes.
-- https://www.postgresql.org/docs/current/sql-altertable.html
alter table only {table} reset (fillfactor)
