-- What bulk.py asks the catalog: statements to take things off tables before a load, and to bring them back.

-- name: settings
-- For this transaction: room for building indexes; no just-in-time compilation of plans that are run once; scans that
-- begin at the first page, so that rows come in the same order each time.
SELECT
  set_config('maintenance_work_mem', '256MB', true), set_config('work_mem', '64MB', true),
  set_config('jit', 'off', true), set_config('synchronize_seqscans', 'off', true),
  set_config('synchronous_commit', 'off', true), set_config('lock_timeout', '5s', true);

-- name: constraints_and_indexes
-- How to take each constraint and index off, and how to bring it back as it was. NOT NULL and CHECK stay, as they are
-- checked row by row in any case. A foreign key goes before the index it leans on, and comes back after it.
SELECT o.take_off, o.bring_back
FROM pg_class AS c,
  LATERAL (SELECT quote_ident(c.relnamespace::regnamespace::text) || '.' || quote_ident(c.relname) AS name) AS t,
  LATERAL (
    SELECT
      CASE contype WHEN 'f' THEN 1 ELSE 3 END AS turn,
      conname AS name,
      'ALTER TABLE ' || t.name || ' DROP CONSTRAINT ' || quote_ident(conname) AS take_off,
      'ALTER TABLE ' || t.name || ' ADD CONSTRAINT ' || quote_ident(conname) || ' ' || pg_get_constraintdef(oid)
        AS bring_back
    FROM pg_constraint
    WHERE conrelid = c.oid AND contype IN ('p', 'u', 'f')
    UNION ALL
    SELECT
      2, i.relname,
      'DROP INDEX ' || quote_ident(i.relnamespace::regnamespace::text) || '.' || quote_ident(i.relname),
      pg_get_indexdef(i.oid)
    FROM pg_index AS x
    JOIN pg_class AS i ON i.oid = x.indexrelid
    WHERE x.indrelid = c.oid
      AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = x.indexrelid AND conrelid = c.oid)
  ) AS o
WHERE c.oid = ANY (%(tables)s::text[]::regclass[])
ORDER BY o.turn, c.relname, o.name;

-- name: triggers
-- How to keep each trigger from firing, and how to let it fire the way it did: plain ENABLE would turn one that
-- fires ALWAYS, also on a replica, into an ordinary one.
SELECT
  'ALTER TABLE ' || t.tgrelid::regclass || ' DISABLE TRIGGER ' || quote_ident(t.tgname),
  'ALTER TABLE ' || t.tgrelid::regclass || ' ENABLE '
    || CASE t.tgenabled WHEN 'A' THEN 'ALWAYS ' WHEN 'R' THEN 'REPLICA ' ELSE '' END
    || 'TRIGGER ' || quote_ident(t.tgname)
FROM pg_trigger AS t
WHERE t.tgrelid = ANY (%(tables)s::text[]::regclass[]) AND NOT t.tgisinternal AND t.tgenabled <> 'D'
ORDER BY t.tgrelid::regclass::text, t.tgname;

-- name: identities
-- Identity columns, to go on counting after the ids that were given.
SELECT c.relname, a.attname
FROM pg_attribute AS a
JOIN pg_class AS c ON c.oid = a.attrelid
WHERE a.attrelid = ANY (%(tables)s::text[]::regclass[]) AND a.attidentity <> ''
ORDER BY c.relname;
