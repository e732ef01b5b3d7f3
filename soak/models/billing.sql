-- requires: pgcrypto
-- A billing service: uuid keys, rows that are only marked as deleted, money in cents, jsonb, views with window functions, keys in a circle.
create extension pgcrypto; create extension citext; create type state as enum ('draft', 'finalized', 'voided'); alter type state add value 'pending' before 'finalized';
create table organizations (id uuid primary key default gen_random_uuid(), name text not null, timezone text not null default 'UTC', emails citext[], chosen uuid, created timestamp(6) not null default now());
create table customers (id uuid primary key default gen_random_uuid(), external text not null, organization uuid not null references organizations, email citext, deleted timestamp(6), metadata jsonb not null default '{}', vat numeric(30, 5));
alter table organizations add constraint organizations_chosen foreign key (chosen) references customers deferrable initially deferred;
create unique index on customers (external, organization) where deleted is null; create index on customers using gin (metadata jsonb_path_ops);
create table coupons (code citext primary key); create table used (code citext references coupons on update cascade, customer uuid references customers);
create table invoices (id uuid default gen_random_uuid(), organization uuid not null references organizations, customer uuid references customers, status state not null default 'draft', number text not null default '',
  cents bigint not null default 0, fees numeric(40, 15), issued date, version int default 4, primary key (id, organization)) partition by hash (organization);
create table invoices_0 partition of invoices for values with (modulus 3, remainder 0); create table invoices_1 partition of invoices for values with (modulus 3, remainder 1);
create table invoices_2 partition of invoices for values with (modulus 3, remainder 2) with (fillfactor = 90);
create table fees (id uuid primary key default gen_random_uuid(), invoice uuid, organization uuid, properties jsonb, total bigint, foreign key (invoice, organization) references invoices match full);
create index on invoices (status, issued) where status <> 'voided'; create unique index on invoices (organization, id, number);
create table events (id bigint generated always as identity (cycle maxvalue 1000000) primary key, code text, at timestamp, properties jsonb, amount numeric generated always as ((properties ->> 'amount')::numeric) stored);
create view billable with (security_invoker) as select customer, sum(cents) over (partition by customer order by issued rows between unbounded preceding and current row) from invoices where status = 'finalized';
create materialized view monthly as select date_trunc('month', issued) as month, count(*) filter (where status = 'finalized') as n, percentile_cont(0.5) within group (order by cents) as middle from invoices group by 1;
create unique index on monthly (month); create view last_events as select distinct on (code) * from events order by code, at desc;
begin; insert into organizations (id, name, emails, chosen) select ('00000000-0000-0000-0000-00000000000' || i)::uuid, 'Org ' || i, array['A@x.com', 'b@X.com']::citext[], ('10000000-0000-0000-0000-00000000000' || i)::uuid from generate_series(1, 5) i;
insert into customers (id, external, organization, email, metadata) select ('10000000-0000-0000-0000-00000000000' || i)::uuid, 'C' || i, ('00000000-0000-0000-0000-00000000000' || i)::uuid, 'Ana@x.com', '{"plan": "basic", "n": 1.50}' from generate_series(1, 5) i; commit;
insert into coupons values ('Summer'), ('WINTER'); insert into used values ('summer', '10000000-0000-0000-0000-000000000001'), ('winter', null);
insert into invoices (organization, customer, status, number, cents, fees, issued) select ('00000000-0000-0000-0000-00000000000' || 1 + i % 5)::uuid, ('10000000-0000-0000-0000-00000000000' || 1 + i % 5)::uuid, (enum_range(null::state))[1 + i % 4], 'N' || i, i * 100, i / 7.0, '2025-01-01'::date + i from generate_series(1, 150) i;
insert into fees (invoice, organization, properties, total) select id, organization, jsonb_build_object('k', cents), cents from invoices; insert into fees (total) values (1);
insert into events (code, at, properties) select 'call', '2025-01-01'::timestamp + i * interval '1 s', jsonb_build_object('amount', i / 3.0) from generate_series(1, 200) i; refresh materialized view monthly;
