-- migration: flyway_versioned
create table customer (
  id   integer not null,
  name varchar(64) not null,
  kind varchar(10) check (kind in ('person;', 'firm')),
  constraint pk_customer primary key (id)
);
create sequence customer_seq start with 1 increment by 50;
alter table customer add column since date default current_date;
alter table customer add constraint uq_customer_name unique (name), add constraint ck_since check (since > '2000-01-01');
create or replace view customer_names as select id, name from customer;

-- migration: flyway_repeatable_view
create or replace view active_accounts as select id, email from accounts where status in ('active', 'new');
create or replace function discount(amount numeric, percent int default 10) returns numeric language sql as
$body$ select round(amount * (100 - percent) / 100, 2) $body$;
create or replace function greet(who text) returns text language sql immutable return 'Hello ' || who;
create or replace function touch() returns trigger language plpgsql as $$
begin
  -- drop table accounts;
  new.visits := coalesce(new.visits, 0) + 1;
  return new;
end;
$$;

-- migration: flyway_functions
create function tax(amount numeric, rate double precision) returns numeric language sql as $$ select amount * rate::numeric $$;
create function tax(amount numeric) returns numeric language plpgsql as $f$ begin return tax(amount, 0.2); end $f$;
create procedure settle(in account bigint, inout done boolean default false) language sql as $$ select true $$;
create function total() returns int language sql begin atomic select case when true then 1 end; select 2; end;
create function pick(variadic names text[]) returns "Role" language sql as $$ select 'USER'::"Role" $$;
create function of_user(one "User", since timestamp with time zone) returns setof int language sql as 'select 1';
alter function tax(numeric) rename to vat;
drop function tax(numeric, double precision);
drop procedure settle(bigint, boolean);
alter function vat(numeric) set schema audit;

-- migration: flyway_triggers
create trigger orders_touch before update on orders for each row execute function touch();
create or replace trigger accounts_touch before insert or update of email on accounts for each row execute function touch();
alter table accounts disable trigger accounts_touch;
alter table orders enable always trigger orders_touch;
create constraint trigger late after insert on orders deferrable initially deferred for each row execute function touch();
alter trigger orders_touch on orders rename to touch_orders;
drop trigger if exists nothing on orders;
drop trigger late on orders;

-- migration: flyway_placeholders
create table ${schema}.things (id int);
alter table accounts add column x int;

-- migration: flyway_if_not_exists
create table if not exists accounts (id bigint, other text);
create table if not exists fresh (id bigint);
alter table accounts add column if not exists email text;
alter table accounts add column if not exists phone text;
create index if not exists index_accounts_on_email on accounts (email, status);
create index if not exists accounts_phone on accounts (phone);
drop table if exists never_there;
drop index if exists never_there_either;
create schema if not exists audit;
create sequence if not exists invoice_no;
create type third as (a int, b text);

-- migration: flyway_partitions
create table events_2026 partition of events for values from ('2026-01-01') to ('2027-01-01');
alter table events attach partition events_2027 for values from ('2027-01-01') to ('2028-01-01');
alter table events detach partition events_2025;
create index events_at on events (at);
create table events_rest partition of events default;
drop table events_2026;

-- migration: flyway_options
alter table accounts set (fillfactor = 70, autovacuum_enabled = false);
alter table accounts reset (autovacuum_enabled);
alter table orders set unlogged;
alter table accounts replica identity full;
alter table lines alter column a add generated always as identity;

-- migration: flyway_options_that_work
alter table lines alter column a set not null;
alter table lines alter column a add generated always as identity;
alter table lines alter column a drop identity;
alter table lines set (fillfactor = 70, autovacuum_enabled = false);
alter table lines reset (autovacuum_enabled);
alter table lines set unlogged;
alter table lines replica identity full;
alter table lines alter column b set statistics 500;
alter table lines cluster on lines_b, set without cluster;

-- migration: flyway_statistics_rules
create statistics lines_ab (dependencies) on a, b from lines;
create statistics on a, b from orders_nothing;
create rule quiet as on delete to lines do instead nothing;

-- migration: flyway_statistics
create statistics lines_ab (dependencies) on a, b from lines;
create rule quiet as on delete to lines do instead nothing;
alter statistics lines_ab rename to lines_both;
drop rule quiet on lines;
drop statistics lines_both;

-- migration: flyway_owner
alter table lines owner to migration_owner;
alter function touch() owner to migration_owner;
alter type course owner to migration_owner;
alter schema audit owner to migration_owner;
alter view active_accounts owner to migration_owner;
reassign owned by migration_owner to current_user;

-- migration: flyway_publication
create publication everything for all tables;
alter publication everything rename to all_of_it;
create role migration_fresh nologin;
drop role migration_fresh;
drop publication all_of_it;

-- migration: flyway_search_path
set search_path to audit, public;
create table here (id int);
alter table log add column more text;
create index log_what on log (what);
set search_path = public;
create table here (id int, two int);
reset search_path;
alter table here add column three int;

-- migration: flyway_data_first
update accounts set status = 'old' where visits > 3;
delete from orders where total < 10;
alter table accounts add column late int;

-- migration: flyway_select_into
select id, email into accounts_copy from accounts;
create table copied as select * from orders;
create table copied_names (x, y) as select id, total from orders;
truncate orders;
alter table copied add column z int;
