-- What the server itself knows of changes. Names of PostgreSQL's own only.

-- name: server
-- Its clock, since when it runs, when its files of settings were read last, and what waits for a restart.
select clock_timestamp() as at, pg_postmaster_start_time() as started, pg_conf_load_time() as loaded,
       array(select name from pg_settings where pending_restart order by name) as pending,
       current_setting('track_commit_timestamp') = 'on' as tracks

-- name: file_settings
-- What stands in its files and is not in force. Only who may read the files sees it.
select name, error from pg_file_settings where error is not null order by sourcefile, sourceline limit 20

-- name: roles
-- When a setting of a role or a database, and a membership, was changed last; only a server that keeps the times of
-- commits can tell.
select max(pg_xact_commit_timestamp(s.xmin)) as settings,
       (select max(pg_xact_commit_timestamp(m.xmin)) from pg_auth_members m) as members
  from pg_db_role_setting s
