-- The statements of history.sqlite. Times are whole milliseconds since 1970, hours are whole hours since 1970.

-- name: schema
-- scrape: what came in and whose hour is still open, or was not folded yet, in the order in which it came.
-- chunk: a series in an hour, raw. rollup: by points of `width` milliseconds. last: of each series, what came last.
-- reading: when it was last tried to measure a metric, and why it is unknown, "" when it is known.
create table series (id integer primary key, metric text not null, label text not null, unique (metric, label));
create table last (series integer primary key, at integer not null, value real not null, "of" real);
create table scrape (id integer primary key, at integer not null, body blob not null);
create index scrape_at on scrape (at);
create table chunk (series integer, hour integer, body blob not null, primary key (series, hour)) without rowid;
create table rollup (
    width integer, series integer, at integer,
    low real not null, mean real not null, high real not null, count integer not null, "of" real,
    primary key (width, series, at)
) without rowid;
create table reading (metric text primary key, at integer not null, why text not null) without rowid;
create table session (
    role text, application text, address text, first_seen integer not null, last_seen integer not null,
    primary key (role, application, address)
) without rowid;
create index session_last_seen on session (last_seen);
create table state (name text primary key, value not null) without rowid;

-- name: schema_2
-- event: what a chart of this time should show besides, such as a restart of the server.
create table event (at integer, kind text, words text, primary key (at, kind, words)) without rowid

-- name: schema_3
-- login: how many sessions began in an hour by the server's own count, and how many of them were seen, null where that is unknown.
create table login (hour integer primary key, established integer not null, seen integer)

-- name: add_logins
insert into login (hour, established, seen) values (:hour, :established, :seen)
    on conflict (hour) do update set
        established = established + excluded.established, seen = seen + excluded.seen

-- name: logins
-- sum() leaves out what is null: what was not seen in one hour is unknown in all.
select min(hour), coalesce(sum(established), 0),
       case when count(*) = count(seen) then coalesce(sum(seen), 0) end
  from login
 where hour >= :since

-- name: drop_old_logins
delete from login where hour < :before

-- name: all_series
select id, metric, label from series

-- name: series_of
select id, metric, label from series where metric = :metric and label = coalesce(:label, label) order by label

-- name: add_series
insert into series (metric, label) values (:metric, :label)

-- name: set_last
insert into last (series, at, value, "of") values (?, ?, ?, ?)
    on conflict (series) do update set at = excluded.at, value = excluded.value, "of" = excluded."of"

-- name: add_scrape
insert into scrape (at, body) values (:at, :body)

-- name: add_event
insert or ignore into event (at, kind, words) values (:at, :kind, :words)

-- name: events
select at, kind, words from event where at >= :since and at < :until order by at, kind, words limit :limit

-- name: drop_old_events
delete from event where at < :before

-- name: set_reading
insert into reading (metric, at, why) values (?, ?, ?)
    on conflict (metric) do update set at = excluded.at, why = excluded.why

-- name: readings
select metric, at, why from reading

-- name: drop_old_readings
delete from reading where at < :before

-- name: latest
select metric, label, at, value, "of" from last join series on series.id = last.series

-- name: state
select value from state where name = :name

-- name: set_state
insert into state (name, value) values (:name, :value) on conflict (name) do update set value = excluded.value

-- name: scrapes
-- In the order in which they came.
select at, body from scrape where at >= :since and at < :until order by id

-- name: open_hours
-- Rounded down, also before 1970.
select distinct (at - (at % 3600000 + 3600000) % 3600000) / 3600000 as hour from scrape order by hour

-- name: delete_scrapes
delete from scrape where at >= :since and at < :until

-- name: chunks
select hour, body from chunk where series = :series and hour >= :first and hour < :after order by hour

-- name: chunk
select body from chunk where series = :series and hour = :hour

-- name: set_chunk
insert or replace into chunk (series, hour, body) values (:series, :hour, :body)

-- name: rollups
select at, low, mean, high, count, "of"
  from rollup
 where width = :width and series = :series and at >= :since and at < :until
 order by at

-- name: set_rollup
insert or replace into rollup (width, series, at, low, mean, high, count, "of")
values (:width, :series, :at, :low, :mean, :high, :samples, :of)

-- name: drop_chunks
delete from chunk where series = :series and hour < :before

-- name: drop_rollups
delete from rollup where width = :width and series = :series and at < :before

-- name: oldest_chunk
select min(hour) from chunk where series = :series

-- name: oldest_rollup
select min(at) from rollup where width = :width and series = :series

-- name: oldest_scrape
select min(at) from scrape

-- name: empty_series
-- Of which nothing is kept any more, and which no scrape that is still open can hold.
select id
  from series
 where not exists (select from_chunk.hour from chunk as from_chunk where from_chunk.series = series.id)
   and not exists (select 1 from rollup where rollup.series = series.id and rollup.width = 300000)
   and not exists (select 1 from rollup where rollup.series = series.id and rollup.width = 3600000)
   and not exists (select 1 from last where last.series = series.id and last.at >= :since)

-- name: crowded
-- The metrics that have too many labels.
select metric, count(*) as labels from series group by metric having count(*) > :most

-- name: longest_unseen
-- The series of a metric of which nothing came for the longest time.
select series.id
  from series left join last on last.series = series.id
 where metric = :metric
 order by last.at nulls first, series.id
 limit :count

-- name: forget_series
delete from series where id = :series

-- name: forget_last
delete from last where series = :series

-- name: saw
insert into session (role, application, address, first_seen, last_seen) values (?, ?, ?, ?, ?)
    on conflict (role, application, address) do update set
        first_seen = min(first_seen, excluded.first_seen), last_seen = max(last_seen, excluded.last_seen)

-- name: count_sessions
select count(*) from session

-- name: drop_sessions
-- Those that were not seen for the longest time.
delete from session
 where (role, application, address) in
       (select role, application, address from session order by last_seen limit :count)

-- name: drop_old_sessions
delete from session where last_seen < :before

-- name: sessions
select role, application, address, first_seen, last_seen from session where last_seen >= :since
 order by last_seen desc, role, application, address
