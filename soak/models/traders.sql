-- A trading company: pictures as bytes, fixed-width texts, who reports to whom, names of tables and columns with capitals and blanks.
create table "Employees" ("EmployeeID" smallint primary key, "LastName" varchar(20) not null, "Photo" bytea, "Notes" text, "ReportsTo" smallint references "Employees", "Postal Code" char(10));
create table "Customers" ("CustomerID" char(5) primary key, "Company Name" varchar(40), "Region" bpchar);
create table "Order Details" ("OrderID" int, "ProductID" smallint, "UnitPrice" real not null check ("UnitPrice" >= 0), "Quantity" smallint, "Discount" real default '-0', constraint "PK Order Details" primary key ("OrderID", "ProductID"));
create table "Orders" ("OrderID" int primary key, "CustomerID" char(5) references "Customers" on delete set null, "EmployeeID" smallint references "Employees", "Order Date" date, "Freight" real);
alter table "Order Details" add constraint "FK to ""Orders""" foreign key ("OrderID") references "Orders" on delete cascade deferrable initially deferred;
create table "CustomerCustomerDemo" ("CustomerID" char(5), "Kind" char(5), primary key ("CustomerID", "Kind"));
create table nothing (); create table only_made (a int generated always as (1) stored); create table "tab	and
break" ("a	b" text);
create view "Quarterly" as select distinct c."CustomerID", date_trunc('quarter', o."Order Date") as q from "Orders" o left join "Customers" c using ("CustomerID");
create table artist (artist_id int primary key, name varchar(120)); create table album (album_id int primary key, title varchar(160), artist_id int not null references artist);
create index "IFK_album" on album (artist_id desc nulls first) include (title);
insert into "Employees" select i, 'L' || i, decode(repeat(md5(i::text), 300), 'hex'), E'line\r\n\\. \\N \\\\\ttab', nullif(i / 2, 0), 'x' from generate_series(1, 9) i;
insert into "Customers" select lpad(i::text, 5, 'C'), E'Caf\u00e9 "' || i || E'" \\', '' from generate_series(1, 20) i;
insert into "Orders" select 10247 + i, lpad((1 + i % 20)::text, 5, 'C'), 1 + i % 9, '1996-07-04'::date + i, 'NaN' from generate_series(1, 80) i;
insert into "Order Details" ("OrderID", "ProductID", "UnitPrice", "Quantity") select 10248 + i % 80, i, 1.1e-38::real * i, i from generate_series(1, 150) i;
insert into nothing default values; insert into nothing default values; insert into only_made default values; insert into "tab	and
break" values (E'\t\n\r\b\f\v\\'), (''), (null), ('\N');
insert into artist select i, 'A' || i from generate_series(1, 10) i; insert into album select i, 'Album', 1 + i % 10 from generate_series(1, 40) i;
