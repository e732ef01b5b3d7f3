-- name: keys
-- How PostgreSQL itself compares the columns of each foreign key, in the key's order: with the operator of the index
-- that it points at, under the collation of the referenced column. Tables that are not partitioned stand for
-- themselves in a key, without those that inherit from them. "period": since PostgreSQL 18, the last column is a range
-- that the referenced rows must cover together.
select n.nspname::text as schema, c.relname::text as "table", k.conname::text as name,
       c.relkind = 'r' as only_table, r.relkind = 'r' as only_referenced,
       coalesce((pg_catalog.to_jsonb(k) ->> 'conperiod')::boolean, false) as period,
       array(select pg_catalog.format('OPERATOR(%%I.%%s)', o_n.nspname, o.oprname)
               from pg_catalog.unnest(k.conpfeqop) with ordinality as u(operator, place)
               join pg_catalog.pg_operator o on o.oid = u.operator
               join pg_catalog.pg_namespace o_n on o_n.oid = o.oprnamespace
              order by u.place) as operators,
       array(select coalesce((select pg_catalog.format('COLLATE %%I.%%I', l_n.nspname, l.collname)
                                from pg_catalog.pg_collation l
                                join pg_catalog.pg_namespace l_n on l_n.oid = l.collnamespace
                               where l.oid = theirs.attcollation and theirs.attcollation <> ours.attcollation), '')
               from rows from (pg_catalog.unnest(k.conkey), pg_catalog.unnest(k.confkey)) with ordinality
                      as u(own, referenced, place)
               join pg_catalog.pg_attribute ours on ours.attrelid = k.conrelid and ours.attnum = u.own
               join pg_catalog.pg_attribute theirs on theirs.attrelid = k.confrelid and theirs.attnum = u.referenced
              order by u.place) as collations
  from pg_catalog.pg_constraint k
  join pg_catalog.pg_class c on c.oid = k.conrelid
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  join pg_catalog.pg_class r on r.oid = k.confrelid
 where k.contype = 'f' and k.conparentid = 0
