-- A rental shop: a search column kept by a trigger, months as partitions with a gap, an aggregate, a domain, a rule.
create extension btree_gist;
create type rating as enum ('all', 'teens', 'adults');
create domain production_year as int check (value between 1888 and 2155);
create table person (id serial primary key, first_name text not null, last_name text not null);
create table film (id serial primary key, title text not null, year production_year, rated rating default 'all',
  extras text[], searched tsvector, changed timestamptz not null default now());
create table cast_of (person int references person on update cascade, film int references film, primary key (person, film));
create table copy (id serial primary key, film int not null references film, shop int not null);
create table customer (id serial primary key, name text, active bool default true, created date default current_date);
create table rental (id serial primary key, copy int references copy, customer int references customer,
  during tstzrange not null, exclude using gist (copy with =, during with &&) deferrable) ;
create table payment (id int generated always as identity, customer int references customer, amount numeric(5, 2), paid timestamptz not null)
  partition by range (paid);
create table payment_2025_01 partition of payment for values from ('2025-01-01') to ('2025-02-01');
create table payment_2025_03 (note text, paid timestamptz not null, customer int, amount numeric(5, 2), id int not null);
alter table payment_2025_03 drop column note;
alter table payment attach partition payment_2025_03 for values from ('2025-03-01') to ('2025-04-01');
create index on payment (customer); create index payment_by_time on only payment (paid);
create function film_searched() returns trigger language plpgsql as
  $$ begin new.searched := to_tsvector('pg_catalog.english', new.title); new.changed := clock_timestamp(); return new; end $$;
create trigger searched before insert or update on film for each row execute function film_searched();
create function joined(text, text) returns text language sql immutable as $$ select case when $1 = '' then $2 else $1 || ', ' || $2 end $$;
create aggregate listed (text) (sfunc = joined, stype = text, initcond = '');
create view film_list as select f.id, f.title, listed(p.first_name || ' ' || p.last_name) as played_by
  from film f left join cast_of c on c.film = f.id left join person p on p.id = c.person group by f.id;
create materialized view turnover as select customer, sum(amount) as amount from payment group by customer;
create unique index on turnover (customer);
create rule keep_paid as on delete to payment_2025_01 do instead nothing;
create index on film using gin (searched); create index on customer (lower(name)) where active;
insert into person (first_name, last_name) select 'First' || i, 'Last' || i from generate_series(1, 20) i;
insert into film (title, year, rated, extras) select 'The film of ' || i, 1990 + i, (array['all', 'teens', 'adults']::rating[])[1 + i % 3], array['a,b', null, 'c"d'] from generate_series(1, 30) i;
insert into cast_of select p.id, f.id from person p, film f where (p.id * f.id) % 7 = 0;
insert into copy (film, shop) select 1 + i % 30, i % 2 from generate_series(1, 60) i;
insert into customer (name) select 'Customer ' || i from generate_series(1, 40) i;
insert into rental (copy, customer, during) select 1 + i % 60, 1 + i % 40, tstzrange('2025-01-01'::timestamptz + i * interval '1 day', '2025-01-01'::timestamptz + i * interval '1 day' + interval '12 hours') from generate_series(1, 90) i;
insert into payment (customer, amount, paid) select 1 + i % 40, i / 10.0, '2025-01-02'::timestamptz + i * interval '3 hours' from generate_series(1, 200) i;
insert into payment (customer, amount, paid) select 1 + i % 40, i / 10.0, '2025-03-02'::timestamptz + i * interval '3 hours' from generate_series(1, 100) i;
refresh materialized view turnover;
