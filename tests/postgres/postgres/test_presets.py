"""Whatever a role or a database presets: our sessions, and those of PostgreSQL's programs, run under our settings."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tabsync.backups.take import plan_take_full
from tabsync.kernel.errors import NotAllowed
from tabsync.postgres.connect import _servers, check_harmless, connect, program_environment
from tabsync.postgres.installation import clients_for
from tabsync.postgres.settings import Limits
from tabsync.system.programs import run_program
from tabsync.workspace import Workspace
from tests.conftest import Databases, Servers, run_sql
from tests.presets import preset, worst_presets

MAJORS = [15, 17, 18]

HARMLESS = {"compute_query_id", "update_process_title", "wal_compression", "wal_init_zero", "wal_recycle"}
"""A superuser's own settings of the server's bookkeeping: what we read and write doesn't depend on them."""

OURS_ON_PURPOSE = {"jit", "row_security", "event_triggers", "lc_messages"}
"""Our value is the one that is the worst for an application."""

ONLY_SLOWER = ("enable_", "geqo", "cpu_", "parallel_", "max_parallel", "min_parallel", "vacuum_", "tcp_keepalives")
"""What makes a plan or a connection slower, and nothing wrong. Programs keep it: a start-up packet has its bounds."""

PROGRAMS_SET = {
    "check_function_bodies",
    "constraint_exclusion",
    "cursor_tuple_fraction",
    "escape_string_warning",
    "plan_cache_mode",
    "synchronize_seqscans",
}
"""pg_dump and pg_restore set these themselves, or run no statement that they decide."""

SLOWER = {
    "backend_flush_after",
    "commit_siblings",
    "debug_parallel_query",
    "default_statistics_target",
    "default_toast_compression",
    "effective_cache_size",
    "effective_io_concurrency",
    "file_copy_method",
    "force_parallel_mode",
    "from_collapse_limit",
    "gin_pending_list_limit",
    "hash_mem_multiplier",
    "io_combine_limit",
    "join_collapse_limit",
    "logical_decoding_work_mem",
    "maintenance_io_concurrency",
    "maintenance_work_mem",
    "random_page_cost",
    "recursive_worktable_factor",
    "scram_iterations",
    "password_encryption",
    "md5_password_warnings",
    "seq_page_cost",
    "stats_fetch_consistency",
    "synchronous_commit",
    "temp_buffers",
    "wal_skip_threshold",
    "createrole_self_grant",
    "icu_validation_level",
}


@pytest.fixture(params=MAJORS, ids=str)
def hostile(request: pytest.FixtureRequest, databases: Databases) -> tuple[str, int, dict[str, str]]:
    """A database all of whose settings are preset to the worst: where it is, its major version, what is preset."""
    conninfo = databases(request.param)
    database = str(conninfo_to_dict(conninfo)["dbname"])
    with connect(make_conninfo(conninfo, dbname="postgres"), "tests") as connection:
        values = worst_presets(connection)
        preset(connection, database, values)
    return conninfo, request.param, values


def test_no_preset_decides_for_a_session_of_ours(hostile: tuple[str, int, dict[str, str]]) -> None:
    conninfo, _, values = hostile
    with connect(conninfo, "tests", limits=Limits(1_500, 2_500, 3_500)) as connection:
        found: dict[str, str] = dict(connection.execute("select name, setting from pg_settings").fetchall())
        who = connection.execute("select current_user::text, session_user::text").fetchone()
    assert who == ("postgres", "postgres")
    assert (found["lock_timeout"], found["statement_timeout"]) == ("1500", "2500")
    assert found["search_path"] == "pg_catalog, pg_temp"
    still = {name for name, value in values.items() if found.get(name) == value}
    assert still - HARMLESS - OURS_ON_PURPOSE == set()


def test_no_preset_decides_for_a_program(hostile: tuple[str, int, dict[str, str]]) -> None:
    conninfo, major, values = hostile
    psql = clients_for(major).program("psql")
    query = "select name || '=' || setting from pg_catalog.pg_settings union all select 'role=' || current_user"
    command: list[str | Path] = [psql, "--no-psqlrc", "--tuples-only", "--no-align", f"--command={query}"]
    done = run_program(command, env=program_environment(conninfo, "tests"))
    assert done.code == 0, done.stderr
    found = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    assert found["role"] == "postgres"
    still = {name for name, value in values.items() if found.get(name) == value}
    still -= HARMLESS | OURS_ON_PURPOSE | PROGRAMS_SET | SLOWER | {"search_path", "quote_all_identifiers"}
    assert {name for name in still if not name.startswith(ONLY_SLOWER)} == set()


@pytest.mark.parametrize("major", MAJORS)
def test_a_session_that_a_preset_would_end_lives(major: int, databases: Databases) -> None:
    """One millisecond each, for a role that may set nothing but its own: the session is there before it could ask."""
    conninfo = databases(major)
    name = f"hurried{major}"
    run_sql(conninfo, "create role {} login password 'x'", name)
    try:
        for setting in ("idle_session_timeout", "statement_timeout", *(["transaction_timeout"] if major >= 17 else [])):
            run_sql(conninfo, "alter role {} set {} = '1ms'", name, setting)
        with connect(make_conninfo(conninfo, user=name, password="x"), "tests") as connection:
            connection.execute("select pg_sleep(0.05)")
            connection.execute("begin")
            connection.execute("select pg_sleep(0.05)")
            connection.execute("commit")
    finally:
        run_sql(conninfo, "drop role {}", name)


@pytest.mark.parametrize("major", [17, 18])
def test_no_trigger_on_login_runs_as_a_superuser(major: int, databases: Databases) -> None:
    conninfo = databases(major)
    with connect(conninfo, "tests") as connection:
        connection.execute("create table public.logins (who name)")
        connection.execute(
            "create function public.on_login() returns event_trigger language plpgsql"
            " as 'begin insert into public.logins values (current_user); end'"
        )
        connection.execute("create event trigger on_login on login execute function public.on_login()")
        connection.execute("alter event trigger on_login enable always")
    psql = clients_for(major).program("psql")
    run_program([psql, "--no-psqlrc", "--command=select 1"], env=program_environment(conninfo, "tests"))
    with connect(conninfo, "tests") as connection:
        assert connection.execute("select count(*) from public.logins").fetchone() == (0,)


def test_what_an_ordinary_role_cannot_set_back_is_named(
    databases: Databases, workspaces: Callable[[str], Workspace]
) -> None:
    conninfo = databases(17)
    run_sql(conninfo, "create role blind login password 'x'")
    try:
        run_sql(conninfo, "alter role blind set zero_damaged_pages = on")
        with (
            connect(make_conninfo(conninfo, user="blind", password="x"), "tests") as connection,
            pytest.raises(NotAllowed, match="zero_damaged_pages is on") as refused,
        ):
            check_harmless(connection)
        assert "reset zero_damaged_pages" in refused.value.hint
        with pytest.raises(NotAllowed, match="zero_damaged_pages is on"):
            plan_take_full(workspaces(make_conninfo(conninfo, user="blind", password="x")))
    finally:
        run_sql(conninfo, "drop role blind")


def test_a_role_that_the_connection_string_names_is_kept(databases: Databases) -> None:
    conninfo = make_conninfo(databases(17), options="-c role=pg_monitor")
    with connect(conninfo, "tests") as connection:
        assert connection.execute("select current_user::text").fetchone() == ("pg_monitor",)
    assert "role=none" not in program_environment(conninfo, "tests")["PGOPTIONS"]


def test_the_settings_of_an_application_stay(databases: Databases) -> None:
    """Triggers read them, so they are no business of ours."""
    conninfo = databases(17)
    database = str(conninfo_to_dict(conninfo)["dbname"])
    run_sql(conninfo, "alter database {} set app.tenant = 'one'", database)
    with connect(conninfo, "tests") as connection:
        assert connection.execute("select current_setting('app.tenant')").fetchone() == ("one",)


@pytest.mark.parametrize("major", MAJORS)
def test_nothing_planted_under_a_name_of_postgresql_is_called(
    major: int, databases: Databases, servers: Servers
) -> None:
    """Even by the statement that sets the search_path itself."""
    conninfo = databases(major)
    with connect(conninfo, "tests") as connection:
        connection.execute("create schema hostile")
        for name, arguments, kind in (
            ("set_config", "text, text, boolean", "text"),
            ("current_setting", "text, boolean", "text"),
            ("pg_backend_pid", "", "integer"),
        ):
            connection.execute(
                sql.SQL("create function hostile.{}({}) returns {} language plpgsql as {}").format(
                    sql.Identifier(name), sql.SQL(arguments), sql.SQL(kind), "begin raise exception 'sprung'; end"
                )
            )
        database = str(conninfo_to_dict(conninfo)["dbname"])
        connection.execute(
            sql.SQL("alter database {} set search_path = hostile, pg_catalog").format(sql.Identifier(database))
        )
    with connect(conninfo, "tests") as connection:
        assert connection.execute("show search_path").fetchone() == ("pg_catalog, pg_temp",)


@pytest.mark.parametrize("major", MAJORS)
def test_threads_that_meet_a_server_together_all_get_in(major: int, databases: Databases) -> None:
    """Each finds out what it takes, and none takes another's finding for its own refusal."""
    conninfo = databases(major)
    name = f"many{major}"
    run_sql(conninfo, "create role {} login password 'x'", name)
    there = make_conninfo(conninfo, user=name, password="x")
    try:
        for _ in range(5):
            _servers.clear()
            with ThreadPoolExecutor(max_workers=8) as pool:
                for connection in pool.map(lambda _: connect(there, "tests"), range(8)):
                    connection.close()
    finally:
        run_sql(conninfo, "drop role {}", name)
