-- Tables of the kinds that make it hard to bring single rows back.
create schema "Odd Shop";
create type "Odd Shop"."Mood %s" as enum ('good', 'bad');
create domain short_code as varchar(5) check (value <> '');

create table people (
  id bigint generated always as identity primary key,
  name text not null,
  boss bigint references people on delete cascade,
  mood "Odd Shop"."Mood %s" not null default 'good',
  name_length int generated always as (length(name)) stored,
  paid money, born date, slept interval, weight double precision, raw bytea, doc jsonb, tags text[],
  code short_code, fixed char(4), touched timestamptz not null default now()
);
create table "Odd Shop"."100% odd %s" (
  "a%b" uuid, "select" char(3), "line
break" text, person bigint references people on delete set null,
  primary key ("a%b", "select")
);
create table notes (person bigint not null references people on delete cascade, body text);
create table days (day date not null, person bigint references people on delete cascade, n int, primary key (day, n))
  partition by range (day);
create table days_2025 partition of days for values from ('2025-01-01') to ('2026-01-01');
create table days_rest partition of days default;
create table plain (a int, b json);

create function stamp() returns trigger language plpgsql as $$ begin new.touched := '2000-01-01'; return new; end $$;
create trigger stamp before insert or update on people for each row execute function stamp();
alter table people disable trigger stamp;
insert into people (name, paid, born, slept, weight, raw, doc, tags, code, fixed)
  values (E'Ana\ttab\\slash\nline', 12.50, '1990-02-03', '1 mon 2 days 03:04:05.6', 0.1, '\x00ff', '{"a": [1]}',
          '{"x,y",NULL,"\"q\""}', 'abc', 'ab');
insert into people (name, boss) select 'below ' || n, 1 from generate_series(1, 3) n;
insert into people (name, boss) values ('below below', 2), ('elsewhere', null);
alter table people enable trigger stamp;
insert into "Odd Shop"."100% odd %s" select gen_random_uuid(), 'x', E'a\nb', n from generate_series(1, 6) n;
insert into notes select 1, 'twice' from generate_series(1, 2) union all select 6, 'stays';
insert into days select d, 1 + n % 2, n from generate_series('2025-12-30'::date, '2026-01-02', '1 day') d, generate_series(1, 2) n;
insert into plain values (1, '{"a":1}'), (1, '{"a":1}'), (1, '{"a":1}'), (2, null);
