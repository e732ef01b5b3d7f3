-- name: roles
-- Every role but PostgreSQL's own and the first superuser, with what it is; its password is in no dump.
select 'role' as kind, r.rolname::text as name,
       pg_catalog.format('CREATE ROLE %%I WITH %%s%%s;', r.rolname, pg_catalog.concat_ws(' ',
           case when r.rolsuper then 'SUPERUSER' else 'NOSUPERUSER' end,
           case when r.rolinherit then 'INHERIT' else 'NOINHERIT' end,
           case when r.rolcreaterole then 'CREATEROLE' end,
           case when r.rolcreatedb then 'CREATEDB' end,
           case when r.rolcanlogin then 'LOGIN' else 'NOLOGIN' end,
           case when r.rolreplication then 'REPLICATION' end,
           case when r.rolbypassrls then 'BYPASSRLS' end,
           case when r.rolconnlimit <> -1 then 'CONNECTION LIMIT ' || r.rolconnlimit::text end,
           case when r.rolvaliduntil is not null then 'VALID UNTIL ' || pg_catalog.quote_literal(r.rolvaliduntil::text) end),
         case when pg_catalog.shobj_description(r.oid, 'pg_authid') is not null
              then pg_catalog.format('; COMMENT ON ROLE %%I IS %%L', r.rolname, pg_catalog.shobj_description(r.oid, 'pg_authid'))
              else '' end) as statement,
       case when r.rolcanlogin then 'its password is not kept' else '' end as note
  from pg_catalog.pg_roles r
 where r.rolname !~ '^pg_' and r.oid <> 10
 order by r.rolname

-- name: memberships
-- Who is a member of whom; once, whoever granted it.
select distinct 'membership' as kind, pg_catalog.format('%%I in %%I', m.rolname, g.rolname) as name,
       pg_catalog.format('GRANT %%I TO %%I%%s;', g.rolname, m.rolname,
         case when pg_catalog.to_jsonb(a) ->> 'set_option' is not null  -- since 16
              then pg_catalog.format(' WITH ADMIN %%s, INHERIT %%s, SET %%s', a.admin_option::text,
                     pg_catalog.to_jsonb(a) ->> 'inherit_option', pg_catalog.to_jsonb(a) ->> 'set_option')
              when a.admin_option then ' WITH ADMIN OPTION' else '' end) as statement,
       '' as note
  from pg_catalog.pg_auth_members a
  join pg_catalog.pg_roles g on g.oid = a.roleid
  join pg_catalog.pg_roles m on m.oid = a.member
 where m.rolname !~ '^pg_' and m.oid <> 10
 order by 2, 3

-- name: role_settings
-- Settings of roles in every database. Those of an application (with a dot) may be secrets: their values are not kept.
select 'setting of a role' as kind,
       pg_catalog.concat_ws(' ', coalesce(r.rolname::text, 'all roles'), pg_catalog.split_part(one, '=', 1)) as name,
       pg_catalog.format('ALTER ROLE %%s SET %%s TO %%s;', coalesce(pg_catalog.quote_ident(r.rolname), 'ALL'),
         (select pg_catalog.string_agg(pg_catalog.quote_ident(part), '.')
            from pg_catalog.regexp_split_to_table(pg_catalog.split_part(one, '=', 1), '\.') part),
         case when pg_catalog.split_part(one, '=', 1) ~ '\.' then '''...'''
              -- A list of names. Whoever set it may have hidden SQL in them, so each is quoted again.
              when pg_catalog.split_part(one, '=', 1) in ('search_path', 'temp_tablespaces', 'session_preload_libraries',
                     'local_preload_libraries')
                then coalesce((select pg_catalog.string_agg(pg_catalog.quote_literal(coalesce(
                                        pg_catalog.replace(m[1], '""', '"'), m[2])), ', ')
                                 from pg_catalog.regexp_matches(pg_catalog.substr(one, pg_catalog.strpos(one, '=') + 1),
                                                                '"((?:[^"]|"")*)"|([^,[:space:]"]+)', 'g') m), '''''')
              else pg_catalog.quote_literal(pg_catalog.substr(one, pg_catalog.strpos(one, '=') + 1)) end) as statement,
       case when pg_catalog.split_part(one, '=', 1) ~ '\.' then 'its value is not kept' else '' end as note
  from pg_catalog.pg_db_role_setting s
  left join pg_catalog.pg_roles r on r.oid = s.setrole
  cross join pg_catalog.unnest(s.setconfig) one
 where s.setdatabase = 0 and coalesce(r.rolname, '') !~ '^pg_'
 order by 2

-- name: tablespaces
-- Where files lie on the server.
select 'tablespace' as kind, t.spcname::text as name,
       pg_catalog.format('CREATE TABLESPACE %%I OWNER %%I LOCATION %%L;', t.spcname, pg_catalog.pg_get_userbyid(t.spcowner),
                         pg_catalog.pg_tablespace_location(t.oid)) as statement,
       'the directory must exist and be empty' as note
  from pg_catalog.pg_tablespace t
 where t.spcname !~ '^pg_'
 order by 2

-- name: parameters
-- Who may set what: GRANT ... ON PARAMETER belongs to the cluster.
select 'grant on a parameter' as kind, p.parname || ' to ' || coalesce(r.rolname::text, 'public') as name,
       pg_catalog.format('GRANT %%s ON PARAMETER %%s TO %%s%%s;', a.privilege_type, p.parname,
                         coalesce(pg_catalog.quote_ident(r.rolname), 'PUBLIC'),
                         case when a.is_grantable then ' WITH GRANT OPTION' else '' end) as statement,
       '' as note
  from pg_catalog.pg_parameter_acl p
  cross join pg_catalog.aclexplode(p.paracl) a
  left join pg_catalog.pg_roles r on r.oid = a.grantee
 where a.grantee <> 10
 order by 2

-- name: server_settings
-- Settings of the server that differ from what it was built with. Commands and connection strings may hold secrets.
select 'setting of the server' as kind, s.name as name,
       pg_catalog.format('ALTER SYSTEM SET %%s = %%s;', s.name,
         pg_catalog.quote_literal(s.setting)
           || case when s.unit is not null then '  -- in ' || s.unit else '' end) as statement,
       '' as note
  from pg_catalog.pg_settings s
 where s.source = 'configuration file'
   -- lists, which need their names quoted one by one, and what may hold a secret or is of one machine only
   and s.name !~ '^search_path$|^temp_tablespaces$|_command$|conninfo|passphrase|password|key|_file$|_directory$|^listen_addresses$|^port$|\.'
   and s.name !~ '^unix_socket|^log_|^lc_|^cluster_name$|^data_|^primary_slot_name$|^hot_standby'
   and s.setting is distinct from s.boot_val
 order by 2

-- name: slots
-- Logical slots are bound to the database, and hold WAL for whoever reads them.
select 'replication slot' as kind, slot_name::text as name,
       pg_catalog.format('SELECT pg_catalog.pg_create_logical_replication_slot(%%L, %%L);', slot_name, plugin) as statement,
       'its subscriber must copy the tables again' as note
  from pg_catalog.pg_replication_slots
 where slot_type = 'logical' and database = pg_catalog.current_database() and not temporary
 order by 2

-- name: subscriptions
-- pg_dump has them, for a superuser; a restore leaves them out: the copy would take the changes away from the original.
select 'subscription' as kind, subname::text as name,
       pg_catalog.format('CREATE SUBSCRIPTION %%I CONNECTION ''...'' PUBLICATION %%s WITH (connect = false, slot_name = %%s);',
         subname,
         (select pg_catalog.string_agg(pg_catalog.quote_ident(p), ', ') from pg_catalog.unnest(subpublications) p),
         coalesce(pg_catalog.quote_literal(subslotname::text), 'NONE')) as statement,
       'only if the original is gone; its connection string is not kept' as note
  from pg_catalog.pg_subscription
 where subdbid = (select oid from pg_catalog.pg_database where datname = pg_catalog.current_database())
 order by 2

-- name: prepared
-- What a prepared transaction has changed is not committed, so no snapshot has it.
select 'prepared transaction' as kind, gid as name, '' as statement,
       'what it changed is in no backup until COMMIT PREPARED' as note
  from pg_catalog.pg_prepared_xacts
 where database = pg_catalog.current_database()
 order by 2

-- name: foreign_tables
-- Their rows are elsewhere.
select 'rows of a foreign table' as kind, pg_catalog.format('%%I.%%I', n.nspname, c.relname) as name, '' as statement,
       pg_catalog.format('they are at the server %%I: back them up there', s.srvname) as note
  from pg_catalog.pg_foreign_table f
  join pg_catalog.pg_class c on c.oid = f.ftrelid
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  join pg_catalog.pg_foreign_server s on s.oid = f.ftserver
 order by 2

-- name: extension_rows
-- Rows of an extension's own tables are dumped only where the extension says so; of a configuration table perhaps some.
select 'rows of a table of an extension' as kind, pg_catalog.format('%%I.%%I', n.nspname, c.relname) as name,
       '' as statement,
       pg_catalog.format('%%I keeps them out of dumps, or expects to make them again', e.extname) as note
  from pg_catalog.pg_extension e
  join pg_catalog.pg_depend d on d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass and d.refobjid = e.oid
                             and d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.deptype = 'e'
  join pg_catalog.pg_class c on c.oid = d.objid and c.relkind = 'r' and c.relpersistence <> 't'
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
 where not (c.oid = any(coalesce(e.extconfig, '{}')))
   and pg_catalog.pg_relation_size(c.oid) > 0
 order by 2

-- name: unlogged
-- A standby has no rows of unlogged tables; a primary dumps them.
select 'rows of an unlogged table' as kind, pg_catalog.format('%%I.%%I', n.nspname, c.relname) as name, '' as statement,
       'a standby does not have them: take the backup from the primary' as note
  from pg_catalog.pg_class c
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
 where c.relpersistence = 'u' and c.relkind = 'r' and pg_catalog.pg_is_in_recovery()
 order by 2

-- name: user_mappings
-- Another role's password at a foreign server: only a superuser may read it, so only a superuser's dump has it.
select 'options of a user mapping' as kind, pg_catalog.format('%%s at %%I', coalesce(usename::text, 'public'), srvname) as name,
       pg_catalog.format('ALTER USER MAPPING FOR %%s SERVER %%I OPTIONS (ADD password ''...'');',
                         coalesce(pg_catalog.quote_ident(usename), 'PUBLIC'), srvname) as statement,
       'this user may not read them' as note
  from pg_catalog.pg_user_mappings
 where umoptions is null
   and not (select rolsuper from pg_catalog.pg_roles where rolname = current_user)
   and usename is distinct from current_user
 order by 2

-- name: jobs
-- pg_cron keeps the jobs of all databases in one of them.
select 'scheduled jobs' as kind, 'pg_cron' as name, '' as statement,
       pg_catalog.format('pg_cron keeps them in database %%I: back it up too', s.setting) as note
  from pg_catalog.pg_settings s
 where s.name = 'cron.database_name' and s.setting <> pg_catalog.current_database()

-- name: owners
-- Objects of PostgreSQL's own and of extensions that were given to somebody: pg_dump writes their grants, not their owner.
with owned (class, id, owner) as (
  select 'pg_catalog.pg_proc'::pg_catalog.regclass, oid, proowner from pg_catalog.pg_proc
  union all
  select 'pg_catalog.pg_class'::pg_catalog.regclass, oid, relowner from pg_catalog.pg_class
   where relkind in ('r', 'p', 'v', 'm', 'S', 'f')
  union all
  select 'pg_catalog.pg_type'::pg_catalog.regclass, oid, typowner from pg_catalog.pg_type
   where typrelid = 0 and typelem = 0
  union all
  select 'pg_catalog.pg_namespace'::pg_catalog.regclass, oid, nspowner from pg_catalog.pg_namespace
   where nspname <> 'public'
)
select 'owner' as kind, i.type || ' ' || i.identity as name,
       pg_catalog.format('ALTER %%s %%s OWNER TO %%I;', pg_catalog.upper(i.type), i.identity,
                         pg_catalog.pg_get_userbyid(o.owner)) as statement,
       coalesce('it belongs to the extension ' || e.extname, 'it is PostgreSQL''s own') as note
  from owned o
  left join pg_catalog.pg_depend d on d.classid = o.class and d.objid = o.id and d.deptype = 'e'
                                  and d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass
  left join pg_catalog.pg_extension e on e.oid = d.refobjid
  cross join lateral pg_catalog.pg_identify_object(o.class, o.id, 0) i
 where o.owner <> coalesce(e.extowner, 10) and (e.oid is not null or o.id < 16384)
 order by 2

-- name: invalid_indexes
-- Indexes that a failed CREATE INDEX CONCURRENTLY or REINDEX CONCURRENTLY left: pg_dump writes none that isn't valid, but
-- for those of partitioned tables.
select 'index that is not valid' as kind, pg_catalog.format('%%I.%%I', n.nspname, c.relname) as name,
       pg_catalog.pg_get_indexdef(c.oid) || ';' as statement, 'it was not valid in the source either' as note
  from pg_catalog.pg_index i
  join pg_catalog.pg_class c on c.oid = i.indexrelid
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
 where not (i.indisvalid and i.indisready) and c.relkind = 'i' and c.relpersistence <> 't' and n.nspname !~ '^pg_'
 order by 2

-- name: statistics
-- What the planner knows of the tables; pg_dump writes it only with --statistics, since 18.
select 'planner statistics' as kind, pg_catalog.current_database()::text as name, 'ANALYZE;' as statement,
       'until then query plans may be bad' as note
