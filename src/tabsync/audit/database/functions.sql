-- name: must
-- The trigger's function where a change must be recorded: what fails here fails the change. Composed: {rows} is one of
-- the statements below. Each expression of PL/pgSQL is made ready anew in each transaction, which takes longer than what
-- it does: so there are few, and what the trigger says is used as it stands. tg_argv: the table, what the log calls a row of
-- it, its key where that is one column, else its columns, and the secret columns as JSON, each with what is shown instead.
-- A column of the table may be named like a variable, so rows are only spoken of as a whole.
-- https://www.postgresql.org/docs/current/plpgsql-trigger.html
#variable_conflict use_variable
declare
  v_who text[];
{declare}
begin
{before}
{rows}
  return null;
end

-- name: possible
-- The same where it is recorded when possible: an error is kept from the change by a subtransaction. Only the first
-- 32 statements of a transaction have one, as 64 fill the cache of them; a setting has a letter for each. It is
-- everybody's to set, so the worst that it may bring about is a statement without its guard. The first statement of a
-- transaction, for most the only one, asks no more than it must.
-- https://www.postgresql.org/docs/current/subxacts.html
#variable_conflict use_variable
declare
  v_guard text := current_setting('tabsync.audit_guard', true);
  v_who text[];
{declare}
begin
  if length(v_guard) >= 32 then
{before}
{rows}
    return null;
  end if;
  begin
    if length(v_guard) > 0 then
      if v_guard = '!' then
        perform set_config('lock_timeout', '1ms', true);
      end if;
    end if;
{before}
{rows}
    if found then
      v_guard := set_config('tabsync.audit_guard', case when v_guard = '!' then '!' else concat(v_guard, 'x') end, true);
    end if;
  exception when others then
    if sqlstate like '22%' or sqlstate like '54%' then
      begin
{again}
        v_guard := set_config('tabsync.audit_guard', case when v_guard = '!' then '!' else concat(v_guard, 'x') end, true);
        return null;
      exception when others then null;
      end;
    end if;
    perform set_config('tabsync.audit_guard', '!', true);
    begin
      perform nextval('tabsync_audit.gaps') from {transition};
    exception when others then null;
    end;
    begin
      perform setval('tabsync_audit.last_gap', extract(epoch from clock_timestamp())::bigint);
    exception when others then null;
    end;
    raise warning 'a change of % was not recorded in the audit log: %', tg_argv[0], sqlerrm using errcode = sqlstate;
  end;
  return null;
end

-- name: must_json
-- Where it must be recorded and a column may have JSON that jsonb can't take: such a value fails no change. It costs a
-- subtransaction too, in the first 32 statements.
#variable_conflict use_variable
declare
  v_guard text := current_setting('tabsync.audit_guard', true);
  v_who text[];
{declare}
begin
  if length(v_guard) >= 32 then
{before}
{rows}
    return null;
  end if;
  begin
{before}
{rows}
    if found then
      v_guard := set_config('tabsync.audit_guard', concat(v_guard, 'x'), true);
    end if;
  exception when data_exception or program_limit_exceeded then
{again}
    v_guard := set_config('tabsync.audit_guard', concat(v_guard, 'x'), true);
  end;
  return null;
end

-- name: again_declare
-- The rows of a statement that failed, as JSON.
  v_new jsonb[];
  v_old jsonb[];

-- name: again
-- After a value that jsonb can't take: column by column, so that only that value is missing.
  {read}
  {before}
  {rows}

-- name: not_again
-- A TRUNCATE says how many rows there were, where a value can't be kept.
        raise;

-- name: read_new
-- As JSON, column by column.
  execute tabsync_audit.by_column(tg_relid, 'tabsync_new', tg_argv[3]::text[]) into v_new;

-- name: read_old
-- The same.
  execute tabsync_audit.by_column(tg_relid, 'tabsync_old', tg_argv[3]::text[]) into v_old;

-- name: by_column
-- The query that makes JSON of the rows of a transition table.
begin
  return (select format('select array_agg(tabsync_audit.json_of(%L, array[%s]::json[], %L)) from %I n where {no_cast}',
                        array_agg(a.attname::text order by a.attnum),
                        string_agg(format('to_json(n.%I)', a.attname), ', ' order by a.attnum), keys, source)
            from pg_attribute a
           where a.attrelid = of_table and a.attnum > 0 and not a.attisdropped);
end

-- name: json_of
-- A row. In the place of a value that jsonb can't take is why, and its hash, so that another value is a change; where
-- the values are too long together, in the place of all but the key.
-- https://www.postgresql.org/docs/current/datatype-json.html
declare
  v_row jsonb := '{{}}';
  v_one jsonb;
begin
  for n in 1 .. cardinality(names) loop
    begin
      v_one := coalesce(given[n]::jsonb, 'null');
    exception when data_exception or program_limit_exceeded then
      v_one := jsonb_build_object('(not recorded)', sqlerrm, 'sha256', encode(sha256(convert_to(given[n]::text, 'UTF8')), 'hex'));
    end;
    v_row := v_row || jsonb_build_object(names[n], v_one);
  end loop;
  return v_row;
exception when program_limit_exceeded then
  v_row := '{{}}';
  for n in 1 .. cardinality(names) loop
    v_row := v_row || jsonb_build_object(names[n], case when names[n] = any (keys) then given[n]::jsonb
             else jsonb_build_object('(not recorded)', sqlerrm, 'sha256', encode(sha256(convert_to(given[n]::text, 'UTF8')), 'hex')) end);
  end loop;
  return v_row;
end

-- name: new_rows
-- The rows that a statement made.
select to_jsonb(n.*) as j from tabsync_new n

-- name: old_rows
-- Those that it found.
select to_jsonb(o.*) as j from tabsync_old o

-- name: new_again
-- The same, when they were read column by column.
select n.j from unnest(v_new) n(j)

-- name: old_again
-- The same.
select o.j from unnest(v_old) o(j)

-- name: before_rows
-- Who it is, is found once for all rows, and only where the session claims something.
  if current_setting('tabsync.claims', true) <> '' or current_setting('request.jwt.claims', true) <> '' then
    v_who := tabsync_audit.claimed();
  end if;

-- name: insert_into
-- The columns that are written, in the order of all statements below.
  insert into {log} (user_id, action, entity_type, entity_id, old_value, new_value, created_at, xid, origin, table_name,
                     db_user, db_role, app, client, actor, actor_how)

-- name: no_cast
-- A row becomes JSON by the casts that its types have, as whoever runs this: one of a user's own would run as the log's
-- owner. Nothing in it is of the rows, so it is asked once and before any row is read; only where there is such a cast
-- is the function called, and that fails. 114: json. https://www.postgresql.org/docs/current/functions-json.html
not exists (select from pg_cast c where c.castsource >= 16384 and c.casttarget = 114
                             and tabsync_audit.stops_cast(c.castsource, c.castfunc))

-- name: stops_cast
-- Only a superuser makes functions in C: 12 and 13 are the languages internal and c.
begin
  if exists (select from pg_proc p where p.oid = called and p.prolang not in (12, 13)) then
    raise exception 'the type % has a cast to JSON, %, which would run as the owner of the audit log', kind::regtype,
      called::regprocedure using errcode = 'insufficient_privilege', hint = 'Drop the cast.';
  end if;
  return false;
end

-- name: insert
-- The rows that came. offset 0: each row becomes JSON once, and not as often as it is named.
  {insert_into}
  select {user_id}, 'INSERT', tg_argv[1], {entity_id}, null, {image},
         {who}
    from ({new_rows} offset 0) r
   where {no_cast};

-- name: delete
-- The rows that are gone.
  {insert_into}
  select {user_id}, 'DELETE', tg_argv[1], {entity_id}, {image}, null,
         {who}
    from ({old_rows} offset 0) r
   where {no_cast};

-- name: update
-- Both are paired by their key, and only what differs is kept; a key that changed is a row gone and a row come. What
-- differs is seen as text: 1.0 and 1.00 are equal, and not the same.
  {insert_into}
  select {user_id}, case when r.o is null then 'INSERT' when r.n is null then 'DELETE' else 'UPDATE' end, tg_argv[1],
         {entity_id}, case when r.n is null then {old_image} else d.o end, case when r.o is null then {new_image} else d.n end,
         {who}
    from (select o.j as o, n.j as n, coalesce(n.j, o.j) as j
            from (select p.j, {old_key} as key from ({old_rows} offset 0) p offset 0) o
            full join (select q.j, {new_key} as key from ({new_rows} offset 0) q offset 0) n
              on o.key = n.key
          offset 0) r
    left join lateral (
      select {changed}
        from jsonb_each(r.o) e
       where r.n is not null and e.value::text is distinct from (r.n -> e.key)::text) d on true
   where {no_cast} and (r.o is null or r.n is null or d.o is not null);

-- name: image
-- A whole row, its secrets masked. One that is not a column any more may have another name now: then nothing is shown but
-- the key.
case when tg_argv[4] = '' then {j} when {j} ?& tg_argv[5]::text[] then {j} || tg_argv[4]::jsonb
              else tabsync_audit.only_key({j}, tg_argv[3]::text[]) end

-- name: changed
-- Of an UPDATE, the values that changed, by the same rule.
jsonb_object_agg(e.key, case when {secret} then '"(secret)"'::jsonb else e.value end) as o,
             jsonb_object_agg(e.key, case when {secret} then '"(secret)"'::jsonb else r.n -> e.key end) as n

-- name: secret
-- Whether a value is one.
tg_argv[4] <> '' and (tg_argv[4]::jsonb ? e.key or (r.o ?& tg_argv[5]::text[]) is not true)

-- name: changed_plain
-- The same in a table without secrets, whose functions don't ask.
jsonb_object_agg(e.key, e.value) as o, jsonb_object_agg(e.key, r.n -> e.key) as n

-- name: one_key
-- The key as text; NULL where the row has no column of that name any more, and no row finds its other image.
{j} ->> tg_argv[2]

-- name: one_key_text
-- The same for the log, which takes no NULL.
coalesce({j} ->> tg_argv[2], '')

-- name: keys
-- Of several columns as a JSON array; without a key, or with one that has lost a column, it is empty, and no row finds its
-- other image. It takes longer to make ready than all the rest, so tables whose key is one column have functions without it.
case when tg_argv[3] <> '{{}}' and {j} ?& tg_argv[3]::text[] then (select jsonb_agg({j} -> k.name order by k.place)::text
                                              from unnest(tg_argv[3]::text[]) with ordinality k(name, place)) {none} end

-- name: who
-- Who did it, as far as the server and the session know. The table is named as the manual names it, for its partitions too;
-- one that was renamed since, as it is called now: another may have its name.
statement_timestamp(), pg_current_xact_id(), 'trigger', {table}, session_user, nullif(current_setting('role'), 'none'),
         current_setting('application_name'), inet_client_addr(), v_who[1], v_who[2]

-- name: table
-- tg_argv[6] is NULL in a trigger of an older version.
case when tg_table_schema || '.' || tg_table_name <> tg_argv[6]
              then format('%I.%I', tg_table_schema, tg_table_name) else tg_argv[0] end

-- name: truncate_declare
-- Besides the variables that all have.
  v_rows constant bigint := (select (s.value ->> 0)::bigint from tabsync_audit.settings s where s.name = 'truncate_rows');
  v_bytes constant bigint := (select (s.value ->> 0)::bigint from tabsync_audit.settings s where s.name = 'truncate_bytes');
  v_count bigint;
  v_size bigint;
  v_why text;
  v_apart oid[];
  v_from text := format('only %I.%I t', tg_table_schema, tg_table_name);

-- name: truncate
-- All rows up to a bound; beyond it one entry that says how many there were, about. ONLY: partitions have their own
-- trigger. Those that came since the install have none: they are read through the nearest table above that has one.
  v_apart := (select array_agg(p.relid::oid)
                from pg_partition_tree(tg_relid) p
               where p.isleaf and p.relid <> tg_relid and tg_relid =
                     (select g.tgrelid
                        from pg_partition_ancestors(p.relid) with ordinality a(relid, place)
                        join pg_trigger g on g.tgrelid = a.relid and g.tgname = tg_name and g.tgenabled = 'A'
                       order by a.place limit 1));
  if v_apart is not null then
    v_from := format('%I.%I t where t.tableoid = any (%L::oid[])', tg_table_schema, tg_table_name, v_apart);
  end if;
  begin
    execute format('select count(*), coalesce(sum(pg_column_size(t.*)), 0) from (select t.* from %s limit %s) t',
                   v_from, v_rows + 1) into v_count, v_size;
    if v_count > v_rows then
      v_why := format('more than %s rows', v_rows);
    elsif v_size > v_bytes then
      v_why := format('more than %s bytes', v_bytes);
    end if;
  exception when insufficient_privilege then
    v_why := 'row security';
  end;
  if v_why is null and v_count > 0 then
    begin
      execute format($q$
        insert into %s (user_id, action, entity_type, entity_id, old_value, new_value, created_at, xid, origin,
                           table_name, db_user, db_role, app, client, actor, actor_how)
        select $1, 'TRUNCATE', $2, case when $3 <> '' then coalesce(r.j ->> $3, '')
                                   when $4 <> '{{}}' and r.j ?& $4::text[] then (select jsonb_agg(r.j -> k.name order by k.place)::text
                                                           from unnest($4::text[]) with ordinality k(name, place)) else '' end,
               case when $5 = '' then r.j when r.j ?& $10::text[] then r.j || $5::jsonb
                    else tabsync_audit.only_key(r.j, $4::text[]) end, null, statement_timestamp(), $6, 'trigger', $7,
               session_user, nullif(current_setting('role'), 'none'), current_setting('application_name'),
               inet_client_addr(), $8, $9
          from (select to_jsonb(t.*) as j from %s offset 0) r
         where {no_cast} $q$, {log_name}, v_from)
        using {user_id}, tg_argv[1], tg_argv[2], tg_argv[3], tg_argv[4], pg_current_xact_id(), {table}, v_who[1], v_who[2],
              tg_argv[5];
    exception when data_exception or program_limit_exceeded then
      v_why := sqlerrm;
    end;
  end if;
  if v_why is not null or v_count = 0 then
    {insert_into}
    select {user_id}, 'TRUNCATE', tg_argv[1], '', null,
           jsonb_build_object('kept', v_count = 0 and v_why is null, 'rows', case when v_why is null then v_count end,
                              'estimated_rows', case when v_why is not null then greatest(sum(c.reltuples), v_count)::bigint end,
                              'bytes', sum(pg_table_size(c.oid))::bigint, 'why', v_why),
           {who}
      from pg_class c
     where c.oid = any (coalesce(v_apart, array[tg_relid]));
  end if;

-- name: only_key
-- A row of which nothing is shown but its key: a secret may be under any other name.
begin
  return (select jsonb_object_agg(e.key, case when e.key = any (keys) then e.value else '"(secret)"'::jsonb end)
            from jsonb_each(image) e);
end

-- name: who_claims
-- The same as two columns.
begin
  select c.who[1], c.who[2] into actor, how from (select tabsync_audit.claimed()) c(who);
end

-- name: claimed
-- The actor that the session claims and how, signed, or plain as PostgREST and Supabase say it. What isn't valid is no
-- actor, and fails nothing. HMAC: https://www.rfc-editor.org/rfc/rfc2104
declare
  v_claims text := current_setting('tabsync.claims', true);
  v_found jsonb;
begin
  if v_claims <> '' then
    if lower(current_setting('tabsync.signature', true)) = (
         select encode(sha256(s.outer_pad || sha256(s.inner_pad || convert_to(v_claims, 'UTF8'))), 'hex')
           from tabsync_audit.secret s) then
      v_found := v_claims::jsonb;
      if (v_found ->> 'exp')::numeric > extract(epoch from clock_timestamp()) and v_found ->> 'sub' <> '' then
        return array[left(v_found ->> 'sub', 200), 'signed'];
      end if;
    end if;
    return array[null, 'invalid'];
  end if;
  v_found := nullif(current_setting('request.jwt.claims', true), '')::jsonb;
  return case when (v_found ->> 'exp')::numeric <= extract(epoch from clock_timestamp()) then array[null, 'invalid']
              when v_found ->> 'sub' <> '' then array[left(v_found ->> 'sub', 200), 'plain'] end;
exception when others then
  return array[null, 'invalid'];
end

-- name: keep
-- Before the log is changed: it only grows. Who says why, and has the rights, may; it is recorded.
begin
  if coalesce(current_setting('tabsync.audit_change', true), '') = '' then
    raise exception 'the audit log can''t be changed: % of %.% refused', tg_op, tg_table_schema, tg_table_name
      using errcode = 'insufficient_privilege',
            hint = 'To mask the values of a person: tabsync audit erase. Old months go with: tabsync audit archive';
  end if;
  if tg_op = 'TRUNCATE' then
    insert into {log} (action, entity_type, entity_id, new_value, xid, origin, table_name, reason)
    values ('TRUNCATE', 'audit log', '', '{{}}', pg_current_xact_id(), 'trigger',
            format('%I.%I', tg_table_schema, tg_table_name), current_setting('tabsync.audit_change', true));
  end if;
  return null;
end

-- name: kept_update
-- After it was changed all the same: how many entries, by whom, and what was said why.
begin
  insert into {log} (action, entity_type, entity_id, new_value, xid, origin, table_name, reason)
  select tg_op, 'audit log', '', jsonb_build_object('entries', count(*), 'first', min(o.id), 'last', max(o.id)),
         pg_current_xact_id(), 'trigger', format('%I.%I', tg_table_schema, tg_table_name),
         current_setting('tabsync.audit_change', true)
    from tabsync_old o
  having count(*) > 0;
  return null;
end
