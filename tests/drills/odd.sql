-- A database with one of each thing that dumps stumble over.
create role "odd owner" nologin;
create schema "Capital Schema";
create schema app authorization "odd owner";
create type app.mood as enum ('sad', 'o''k', 'very "happy"');
create domain app.email as text check (value like '%@%') default 'nobody@example.com';
create type app.pair as (a int, b text);
create type app.span as range (subtype = numeric);
create table "we""ird; drop table x" ("a b" int primary key, "select" text default 'x;y', e app.email, m app.mood[]);
insert into "we""ird; drop table x" values (1, E'tab\there\nline\\back', 'a@b', '{sad,"very \"happy\""}'), (2, null, null, null);
create table "Capital Schema"."Table With Blanks" (id int generated always as identity, p app.pair, s app.span,
  twice numeric generated always as (id * 2) stored, primary key (id));
insert into "Capital Schema"."Table With Blanks" (p, s) select row(i, 'x')::app.pair, numrange(i, i + 1)::text::app.span
  from generate_series(1, 50) i;
create table app.line_break_in_name (id int);
alter table app.line_break_in_name rename to "line
break";
create table app.events (id bigint, at timestamptz not null, body jsonb) partition by range (at);
create table app.events_2025 partition of app.events for values from ('2025-01-01') to ('2026-01-01');
create table app.events_rest partition of app.events default;
insert into app.events select i, '2025-06-01'::timestamptz + i * interval '1 day', '{"a": 1}' from generate_series(1, 400) i;
create table app.parent (id int primary key, note text);
create table app.child (extra int) inherits (app.parent);
insert into app.parent values (1, 'p');
insert into app.child values (2, 'c', 3);
create table app.refers (id int primary key, w int references "we""ird; drop table x" on delete cascade,
  a int, b int, unique (a, b));
create table app.full_match (a int, b int, foreign key (a, b) references app.refers (a, b) match full);
insert into app.refers values (1, 1, 10, 20), (2, null, 11, 21);
insert into app.full_match values (10, 20), (null, null);
create table app.floats (r real, d double precision, n numeric, b bytea, t timestamptz, i interval, u uuid, c inet, bits bit varying);
insert into app.floats values ('-0', 'NaN', 'Infinity', '\x00ff', 'infinity', '1 mon -1 day', gen_random_uuid(), '::1', B'101');
create view app.happy with (security_barrier) as select * from "we""ird; drop table x" where 'sad' = any (m);
create materialized view app.counted as select count(*) as n from app.events with data;
create unique index on app.counted (n);
create materialized view app.empty_one as select 1 as one with no data;
create function app.touch() returns trigger language plpgsql as $$ begin new."select" := 'touched'; return new; end $$;
create trigger touch before update on "we""ird; drop table x" for each row execute function app.touch();
create function app.told() returns event_trigger language plpgsql as $$ begin raise debug 'x'; end $$;
create event trigger told on ddl_command_start execute function app.told();
create table app.secured (id int, owner text);
alter table app.secured enable row level security, force row level security;
create policy own on app.secured using (owner = current_user);
insert into app.secured select i, 'nobody' from generate_series(1, 10) i;
create unlogged table app.unlogged (id int);
insert into app.unlogged values (1);
create sequence app.counter start 41;
select nextval('app.counter'), nextval('app.counter');
create publication everything for all tables;
create statistics app.stats on a, b from app.refers;
create collation app.german (provider = libc, locale = 'C');
create aggregate app.product (int) (sfunc = int4mul, stype = int, initcond = '1');
create operator app.=== (leftarg = int, rightarg = int, function = int4eq);
create cast (app.mood as int) with inout;
create rule no_delete as on delete to app.parent do instead nothing;
create extension hstore with schema app;
create table app.bags (id int primary key, bag app.hstore);
insert into app.bags values (1, 'a=>1');
select lo_from_bytea(0, '\xdeadbeef'), lo_from_bytea(0, convert_to(repeat('large object ', 1000), 'utf8'));
grant select on app.refers to "odd owner" with grant option;
grant update (a) on app.refers to public;
alter default privileges in schema app grant select on tables to "odd owner";
comment on table "we""ird; drop table x" is 'it''s a "comment"';
comment on column app.refers.a is 'line
break';
