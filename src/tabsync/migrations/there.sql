-- name: path
-- Where the application's names are looked for.
select pg_catalog.array_to_json(pg_catalog.current_schemas(false)) as schemas

-- name: places
-- In which schemas names are, in the catalog that each would be in.
with asked as (
  select a.* from unnest(%(catalogs)s::text[], %(names)s::text[]) a(catalog, name)
)
select a.catalog, a.name, n.nspname::text as schema
  from asked a join pg_class c on c.relname = a.name join pg_namespace n on n.oid = c.relnamespace where a.catalog = 'class'
union all
select a.catalog, a.name, n.nspname::text
  from asked a join pg_type t on t.typname = a.name join pg_namespace n on n.oid = t.typnamespace where a.catalog = 'type'
union
select a.catalog, a.name, n.nspname::text
  from asked a join pg_proc p on p.proname = a.name join pg_namespace n on n.oid = p.pronamespace where a.catalog = 'proc'
union all
select a.catalog, a.name, n.nspname::text
  from asked a join pg_statistic_ext x on x.stxname = a.name join pg_namespace n on n.oid = x.stxnamespace
 where a.catalog = 'statistic'

-- name: there
-- Each thing of a list: whether it is there, null where what it belongs to is gone; whether it is whole, which an index
-- that CREATE INDEX CONCURRENTLY has left is not; and its value as text, where it has one.
with asked as (
  select a.* from unnest(%(kinds)s::text[], %(schemas)s::text[], %(names)s::text[], %(parts)s::text[]) with ordinality
         a(kind, schema, name, part, n)
), placed as (
  select a.*, s.oid as sch, c.oid as rel, c.relkind as relkind, c.reloptions, c.relpersistence, c.relreplident,
         c.relrowsecurity, c.relforcerowsecurity, c.relacl, c.relowner, t.oid as typ, t.typacl, t.typowner
    from asked a
    left join pg_namespace s on s.nspname = a.schema
    left join pg_class c on c.relnamespace = s.oid and c.relname = a.name
    left join pg_type t on t.typnamespace = s.oid and t.typname = a.name
), seen as (
  select p.*, f.attnotnull, f.atthasdef, f.attidentity, f.attnum, f.attrelid,
         format_type(f.atttypid, f.atttypmod) as atttype
    from placed p
    left join pg_attribute f on f.attrelid = p.rel and f.attname = p.part and f.attnum > 0 and not f.attisdropped
)
select p.n, case
       when p.kind = 'relation' then coalesce(p.relkind in ('r', 'p', 'v', 'm', 'S', 'f'), false)
       when p.kind = 'index' then coalesce(p.relkind in ('i', 'I'), false)
       when p.kind = 'type' then p.typ is not null
       when p.kind = 'schema' then exists (select from pg_namespace n where n.nspname = p.name)
       when p.kind = 'extension' then exists (select from pg_extension e where e.extname = p.name)
       when p.kind = 'publication' then exists (select from pg_publication e where e.pubname = p.name)
       when p.kind = 'role' then exists (select from pg_roles e where e.rolname = p.name)
       when p.kind = 'statistics' then exists (select from pg_statistic_ext e where e.stxnamespace = p.sch and e.stxname = p.name)
       when p.kind = 'label' then exists (select from pg_enum e where e.enumtypid = p.typ and e.enumlabel = p.part)
       when p.kind = 'labels' then case when p.typ is not null then true end
       when p.kind = 'column' then p.attrelid is not null
       when p.kind = 'constraint' then
         exists (select from pg_constraint k where k.conrelid = p.rel and k.conname = p.part)
       when p.kind = 'trigger' then exists (select from pg_trigger t where t.tgrelid = p.rel and t.tgname = p.part and not t.tgisinternal)
       when p.kind = 'policy' then exists (select from pg_policy o where o.polrelid = p.rel and o.polname = p.part)
       when p.kind = 'rule' then exists (select from pg_rewrite o where o.ev_class = p.rel and o.rulename = p.part)
       when p.kind = 'partition' then exists (select from pg_inherits i where i.inhrelid = p.rel)
       when p.kind = 'unnamed index' then exists (
         select from pg_index i join pg_class x on x.oid = i.indexrelid join pg_am m on m.oid = x.relam
          where i.indrelid = p.rel and i.indexprs is null and i.indpred is null and m.amname = 'btree'
            and i.indisunique = (p.part::jsonb->>0 = 'unique')
            and (select jsonb_agg(a.attname::text order by k.o) from unnest(i.indkey::int2[]) with ordinality k(n, o)
                   join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.n) = p.part::jsonb - 0)
       when p.kind = 'unnamed constraint' then exists (
         select from pg_constraint k
          where k.conrelid = p.rel and k.contype = left(p.part::jsonb->>0, 1)
            and (select jsonb_agg(a.attname::text order by c.o) from unnest(k.conkey) with ordinality c(n, o)
                   join pg_attribute a on a.attrelid = k.conrelid and a.attnum = c.n) = p.part::jsonb - 0)
       when p.kind = 'valid' then
         (select k.convalidated from pg_constraint k where k.conrelid = p.rel and k.conname = p.part)
       when p.kind = 'trigger enabled' then
         (select true from pg_trigger t where t.tgrelid = p.rel and t.tgname = p.part)
       when p.kind = 'not null' then p.attnotnull
       when p.kind = 'default' then p.atthasdef
       when p.kind = 'identity' then p.attidentity <> ''
       when p.kind = 'column type' then case when p.attrelid is not null then true end
       when p.kind = 'row security' then p.relrowsecurity
       when p.kind = 'forced' then p.relforcerowsecurity
       when p.kind in ('persistence', 'replica identity', 'owner of relation') then case when p.rel is not null then true end
       when p.kind = 'owner of type' then case when p.typ is not null then true end
       when p.kind = 'owner of schema' then
         (select true from pg_namespace n where n.nspname = p.name)
       when p.kind = 'option' then case when p.rel is not null then
         exists (select from pg_options_to_table(p.reloptions) o where o.option_name = p.part) end
       when p.kind = 'comment on relation' then case when p.rel is not null then
         obj_description(p.rel, 'pg_class') is not null end
       when p.kind = 'comment on column' then case when p.attrelid is not null then
         col_description(p.rel, p.attnum) is not null end
       when p.kind = 'comment on type' then case when p.typ is not null then obj_description(p.typ, 'pg_type') is not null end
       when p.kind = 'comment on schema' then
         (select obj_description(n.oid, 'pg_namespace') is not null from pg_namespace n where n.nspname = p.name)
       when p.kind = 'comment on extension' then
         (select obj_description(n.oid, 'pg_extension') is not null from pg_extension n where n.extname = p.name)
       when p.kind = 'comment on trigger' then
         (select obj_description(t.oid, 'pg_trigger') is not null from pg_trigger t where t.tgrelid = p.rel and t.tgname = p.part)
       when p.kind = 'comment on policy' then
         (select obj_description(t.oid, 'pg_policy') is not null from pg_policy t where t.polrelid = p.rel and t.polname = p.part)
       when p.kind = 'comment on constraint' then
         (select obj_description(t.oid, 'pg_constraint') is not null from pg_constraint t where t.conrelid = p.rel and t.conname = p.part)
       when p.kind in ('privilege on table', 'privilege on sequence') then case when p.rel is not null then exists (
         select from aclexplode(coalesce(p.relacl, acldefault(case p.relkind when 'S' then 's'::"char" else 'r' end, p.relowner))) x
          where coalesce(pg_get_userbyid(nullif(x.grantee, 0)), 'public') = p.part::jsonb->>0
            and x.privilege_type = p.part::jsonb->>1) end
       when p.kind = 'privilege on type' then case when p.typ is not null then exists (
         select from aclexplode(coalesce(p.typacl, acldefault('T', p.typowner))) x
          where coalesce(pg_get_userbyid(nullif(x.grantee, 0)), 'public') = p.part::jsonb->>0
            and x.privilege_type = p.part::jsonb->>1) end
       when p.kind = 'privilege on schema' then
         (select exists (
            select from aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) x
             where coalesce(pg_get_userbyid(nullif(x.grantee, 0)), 'public') = p.part::jsonb->>0
               and x.privilege_type = p.part::jsonb->>1)
            from pg_namespace n where n.nspname = p.name)
       when p.kind in ('function', 'comment on function', 'owner of function', 'privilege on function') then
         exists (select from pg_proc f where f.pronamespace = p.sch and f.proname = p.name)
       end as there,
       case p.kind
       when 'index' then coalesce((select i.indisvalid from pg_index i where i.indexrelid = p.rel), true)
       when 'partition' then not exists (select from pg_inherits i where i.inhrelid = p.rel and i.inhdetachpending)
       else true end as whole,
       case p.kind
       when 'labels' then (select jsonb_agg(e.enumlabel::text order by e.enumsortorder)::text from pg_enum e where e.enumtypid = p.typ)
       when 'column type' then p.atttype
       when 'default' then (select pg_get_expr(d.adbin, d.adrelid) from pg_attrdef d where d.adrelid = p.rel and d.adnum = p.attnum)
       when 'identity' then p.attidentity::text
       when 'persistence' then p.relpersistence::text
       when 'replica identity' then p.relreplident::text
       when 'owner of relation' then pg_get_userbyid(p.relowner)::text
       when 'owner of type' then pg_get_userbyid(p.typowner)::text
       when 'owner of schema' then (select pg_get_userbyid(n.nspowner)::text from pg_namespace n where n.nspname = p.name)
       when 'trigger enabled' then
         (select t.tgenabled::text from pg_trigger t where t.tgrelid = p.rel and t.tgname = p.part)
       when 'option' then (select o.option_value from pg_options_to_table(p.reloptions) o where o.option_name = p.part)
       when 'comment on relation' then obj_description(p.rel, 'pg_class')
       when 'comment on column' then col_description(p.rel, p.attnum)
       when 'comment on type' then obj_description(p.typ, 'pg_type')
       when 'comment on schema' then (select obj_description(n.oid, 'pg_namespace') from pg_namespace n where n.nspname = p.name)
       when 'comment on extension' then (select obj_description(n.oid, 'pg_extension') from pg_extension n where n.extname = p.name)
       when 'comment on trigger' then
         (select obj_description(t.oid, 'pg_trigger') from pg_trigger t where t.tgrelid = p.rel and t.tgname = p.part)
       when 'comment on policy' then
         (select obj_description(t.oid, 'pg_policy') from pg_policy t where t.polrelid = p.rel and t.polname = p.part)
       when 'comment on constraint' then
         (select obj_description(t.oid, 'pg_constraint') from pg_constraint t where t.conrelid = p.rel and t.conname = p.part)
       when 'partition' then
         (select jsonb_build_array(n.nspname, c.relname)::text
            from pg_inherits i join pg_class c on c.oid = i.inhparent join pg_namespace n on n.oid = c.relnamespace
           where i.inhrelid = p.rel limit 1)
       else case when p.kind in ('function', 'comment on function', 'owner of function', 'privilege on function') then
         (select jsonb_agg(jsonb_build_object(
                   'arguments', (select coalesce(jsonb_agg(format_type(a.t, null) order by a.o), '[]'::jsonb)
                                   from unnest(f.proargtypes::oid[]) with ordinality a(t, o)),
                   'body', f.prosrc, 'language', l.lanname, 'owner', pg_get_userbyid(f.proowner),
                   'comment', obj_description(f.oid, 'pg_proc'),
                   'privileges', (select coalesce(jsonb_agg(jsonb_build_array(
                                    coalesce(pg_get_userbyid(nullif(x.grantee, 0)), 'public'), x.privilege_type)), '[]'::jsonb)
                                    from aclexplode(coalesce(f.proacl, acldefault('f', f.proowner))) x)))::text
            from pg_proc f join pg_language l on l.oid = f.prolang
           where f.pronamespace = p.sch and f.proname = p.name)
       end end as value
  from seen p order by p.n
