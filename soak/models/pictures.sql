-- A board of pictures: tags as arrays and text search, addresses, partial unique indexes, a function in an index, versions.
create extension pg_trgm; create extension fuzzystrmatch;
create function reverse_tokens(value text) returns text[] language sql immutable parallel safe as $$ select array_agg(distinct lower(w)) from unnest(string_to_array(value, ' ')) w $$;
create table users (id serial primary key, name text not null, level int not null default 20, settings bit(64) not null default B'0'::bit(64), last_ip inet, created timestamp(6) default now());
create unique index on users (lower(name));
create table posts (id serial primary key, uploader int not null references users deferrable, up int not null default 0, down int not null default 0, score int generated always as (up + down) stored,
  tags text not null default '', md5 uuid, parent int references posts, flags int not null default 0, changed timestamptz, source text);
create index on posts using gin (reverse_tokens(tags)); create index on posts using gin (source gin_trgm_ops) where source <> ''; create unique index on posts (md5) where flags & 1 = 0;
create index on posts ((up - down) desc, id) ; create index on posts using brin (changed) with (pages_per_range = 4);
create table versions (id bigserial primary key, post int not null references posts on delete cascade, tags text, added text[] not null default '{}', removed text[] not null default array[]::text[], address cidr);
create table votes (post int references posts, voter int references users, score int check (score in (-1, 1)), deleted bool not null default false, exclude (post with =, voter with =) where (not deleted));
create table bans (id serial, who int references users, until interval, reason text default '', primary key (id));
create table counted (name text primary key, posts int, related jsonb, touched xid8); create unlogged table trend (tag text, hits int);
create view comment_votes as select v.*, p.tags from votes v join posts p on p.id = v.post;
create view aliases as select 'x'::text as old, array_agg(name order by name) as new from counted;
create statistics post_stats (dependencies, ndistinct) on uploader, flags from posts; create statistics post_score on (up - down), flags from posts;
create function touch() returns trigger language plpgsql as $$ begin insert into versions (post, tags, added) values (new.id, new.tags, string_to_array(new.tags, ' ')); return null; end $$;
insert into users (name, last_ip) select 'User' || i, ('10.0.0.' || i)::inet from generate_series(1, 25) i;
insert into posts (uploader, up, tags, md5, parent, changed, source) select 1 + i % 25, i, 'blue_sky tree_' || i % 5, md5(i::text)::uuid, nullif(i / 3, 0), '2025-01-01'::timestamptz + i * interval '1 min', 'https://example.com/' || i from generate_series(1, 120) i;
create trigger versioned after insert or update on posts for each row when (new.tags <> '') execute function touch(); alter table posts enable always trigger versioned;
update posts set tags = tags || ' new' where id % 10 = 0;
insert into votes select 1 + i % 120, 1 + i % 25, 1 from generate_series(1, 100) i; insert into bans (who, until) select i, '1 mon -2 days 03:04:05.000006' from generate_series(1, 3) i;
insert into counted select 'tree_' || i, i, jsonb_build_object('near', array[i, i + 1]), i::text::xid8 from generate_series(0, 4) i; insert into trend values ('x', 1);
