-- name: path
-- Where the application's names are looked for.
select pg_catalog.current_schemas(false)::text[] as schemas

-- name: there
-- Which things the catalog has: for each its place in the list, whether it is there, and whether it is whole: an index
-- that CREATE INDEX CONCURRENTLY has left is there and invalid.
with asked as (
  select a.n, a.kind, a.schema, a.name, a.part
    from unnest(%(kinds)s::text[], %(schemas)s::text[], %(names)s::text[], %(parts)s::text[]) with ordinality
         a(kind, schema, name, part, n)
), placed as (
  select a.*, s.oid as schema_oid, c.oid as rel, c.relkind, c.relrowsecurity, t.oid as typ
    from asked a
    left join lateral (
         select n.oid from pg_namespace n
          where n.nspname = any (case when a.schema = '' then %(path)s::text[] else array[a.schema] end)) s on true
    left join pg_class c on c.relnamespace = s.oid and c.relname = a.name
    left join pg_type t on t.typnamespace = s.oid and t.typname = a.name
), seen as (
  select p.n, case p.kind
           when 'relation' then p.relkind in ('r', 'p', 'v', 'm', 'S', 'f')
           when 'index' then p.relkind in ('i', 'I')
           when 'type' then p.typ is not null
           when 'schema' then exists (select from pg_namespace n where n.nspname = p.name)
           when 'extension' then exists (select from pg_extension e where e.extname = p.name)
           when 'label' then exists (select from pg_enum e where e.enumtypid = p.typ and e.enumlabel = p.part)
           when 'column' then exists (select from pg_attribute a where a.attrelid = p.rel and a.attname = p.part and a.attnum > 0)
           when 'not null' then exists (select from pg_attribute a where a.attrelid = p.rel and a.attname = p.part and a.attnotnull)
           when 'nullable' then exists (select from pg_attribute a where a.attrelid = p.rel and a.attname = p.part and not a.attnotnull)
           when 'no default' then exists (select from pg_attribute a where a.attrelid = p.rel and a.attname = p.part and not a.atthasdef)
           when 'constraint' then exists (select from pg_constraint k where k.conrelid = p.rel and k.conname = p.part)
           when 'valid' then exists (select from pg_constraint k where k.conrelid = p.rel and k.conname = p.part and k.convalidated)
           when 'trigger' then exists (select from pg_trigger t where t.tgrelid = p.rel and t.tgname = p.part)
           when 'policy' then exists (select from pg_policy o where o.polrelid = p.rel and o.polname = p.part)
           when 'row security' then coalesce(p.relrowsecurity, false)
           end as there,
         p.kind <> 'index' or coalesce((select i.indisvalid from pg_index i where i.indexrelid = p.rel), true) as whole
    from placed p)
select n, bool_or(coalesce(there, false)) as there, bool_and(whole) as whole from seen group by n order by n
