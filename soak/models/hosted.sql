-- requires: pgcrypto
-- A hosted backend: schemas of the platform, policies that call functions, event triggers, roles without a login, extensions in a schema of their own.
do $$ declare r text; begin foreach r in array array['hosted_anon', 'hosted_user', 'hosted_admin'] loop
  if not exists (select from pg_roles where rolname = r) then execute format('create role %I nologin', r); end if; end loop; end $$;
create schema auth; create schema storage; create schema extensions; create schema realtime; create schema "private-area";
create extension pgcrypto schema extensions; create extension citext schema extensions; create extension hstore schema extensions;
create table auth.users (id uuid primary key default gen_random_uuid(), email extensions.citext unique, raw jsonb, tags extensions.hstore, confirmed timestamptz generated always as (null::timestamptz) stored);
create table auth.sessions (id uuid primary key, who uuid references auth.users on delete cascade, not_after timestamptz, ip inet);
create function auth.uid() returns uuid language sql stable as $$ select nullif(current_setting('request.jwt.claim.sub', true), '')::uuid $$;
create table storage.objects (id uuid primary key default gen_random_uuid(), bucket text, name text, owner uuid, path_tokens text[] generated always as (string_to_array(name, '/')) stored, unique (bucket, name));
create table public.profiles (id uuid primary key references auth.users, handle extensions.citext, bio text, visible bool default true); create table public.notes (id bigint generated always as identity primary key, owner uuid default auth.uid() references public.profiles, body text);
alter table public.profiles enable row level security; alter table public.notes enable row level security, force row level security; alter table storage.objects enable row level security;
create policy "Seen by everybody" on public.profiles for select to hosted_anon, hosted_user using (visible); create policy own on public.notes to hosted_user using (owner = auth.uid()) with check (owner = auth.uid());
create policy "own ""objects""" on storage.objects as restrictive for all using (exists (select from public.profiles p where p.id = owner and p.handle operator(extensions.=) 'x'::extensions.citext));
create function public.new_user() returns trigger language plpgsql security definer set search_path = '' as $$ begin insert into public.profiles (id, handle) values (new.id, new.email); return new; end $$;
create trigger on_auth_user after insert on auth.users for each row execute function public.new_user();
create function extensions.reload() returns event_trigger language plpgsql as $$ begin notify reload; end $$; create event trigger reload_on_ddl on ddl_command_end execute function extensions.reload();
create function extensions.on_drop() returns event_trigger language plpgsql as $$ declare o record; begin for o in select * from pg_event_trigger_dropped_objects() loop raise debug '%', o.object_identity; end loop; end $$;
create event trigger seen_drops on sql_drop when tag in ('DROP TABLE', 'DROP SCHEMA') execute function extensions.on_drop(); create event trigger idle on ddl_command_start execute function extensions.reload(); alter event trigger idle disable;
create publication hosted_realtime for table public.notes; create publication messages for all tables with (publish = 'insert');
grant usage on schema public, storage to hosted_anon, hosted_user; grant select, insert on all tables in schema public to hosted_user; grant select (id, handle) on public.profiles to hosted_anon; revoke execute on function auth.uid() from public; grant execute on function auth.uid() to hosted_user with grant option;
alter default privileges in schema public grant select on tables to hosted_anon; alter default privileges grant execute on functions to hosted_admin; alter schema realtime owner to hosted_admin; alter table auth.sessions owner to hosted_admin;
create table realtime.messages (topic text not null, inserted timestamp not null default now(), payload jsonb) partition by range (inserted); create table realtime.messages_2025 partition of realtime.messages for values from ('2025-01-01') to ('2026-01-01');
create view public.public_notes with (security_invoker = true) as select n.id, p.handle from public.notes n join public.profiles p on p.id = n.owner;
insert into auth.users (id, email, raw, tags) select ('00000000-0000-0000-0000-0000000000' || lpad(i::text, 2, '0'))::uuid, ('User' || i || '@X.com')::extensions.citext, '{}', 'a=>1'::extensions.hstore from generate_series(1, 12) i;
insert into auth.sessions select gen_random_uuid(), id from auth.users; insert into storage.objects (bucket, name, owner) select 'b', 'a/' || email, id from auth.users; insert into public.notes (owner, body) select id, email::text from auth.users; insert into realtime.messages select 't', '2025-05-01' from generate_series(1, 5);
