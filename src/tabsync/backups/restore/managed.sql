-- name: in_the_way
-- What Supabase wants dropped before it restores: subscriptions, and replication slots but for its own.
-- https://supabase.com/docs/guides/platform/backups
select 'replication slot ' || quote_ident(slot_name)
  from pg_replication_slots
 where slot_type = 'logical' and not temporary and slot_name not like 'supabase\_realtime%%'
union all
select 'subscription ' || quote_ident(subname) from pg_subscription
 where subdbid = (select oid from pg_database where datname = current_database())
 order by 1
