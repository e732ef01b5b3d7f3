"""The demo's PostgreSQL: created, started, given the profile's schema and data. Every part finds out what is there."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Callable
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from tabsync.audit.database.log import is_installed
from tabsync.demo.mark import mark
from tabsync.demo.night import with_a_night
from tabsync.demo.place import DATABASE, MANUAL, PROFILE, Place
from tabsync.postgres import embedded
from tabsync.postgres.connect import connect
from tabsync.postgres.settings import Limits
from tabsync.profiles.tabsync.generate import generate
from tabsync.profiles.tabsync.migrate import apply_schema

APPLICATION = "tabsync_app"
_SETTINGS = {"log_min_messages": "warning", "log_lock_waits": "on", "shared_buffers": "256MB"}
_LOADING = Limits(statement_timeout=0, idle_in_transaction_timeout=0)
_WRITES = sql.SQL("select, insert, update, delete")


def bring_up(place: Place, orders: int, report: Callable[[float, float, str], None]) -> embedded.Server:
    """Start the demo's server, and make what isn't there yet: cluster, database, schema, data, application role.

    orders: how many to generate into an empty database. The caller holds the claim on place.server.
    """
    embedded.end_server(place.server)  # a demo that was killed may have left one
    if (place.server / "data" / "PG_VERSION").exists() and (place.server / "created").exists():
        server = embedded.opened(place.server, settings=_SETTINGS)
    else:
        _remove_half_made(place.server)
        server = embedded.create(place.server, settings=_SETTINGS)
        (place.server / "created").touch()
    embedded.start(server)
    _fill(server, orders, report)
    _write_config(place, server)
    return server


def application_conninfo(server: embedded.Server) -> str:
    """A connection string for the application's role, over loopback TCP as an application would connect."""
    return make_conninfo(server.tcp_conninfo(DATABASE), user=APPLICATION)


def _fill(server: embedded.Server, orders: int, report: Callable[[float, float, str], None]) -> None:
    with connect(server.conninfo(), "demo") as connection:
        exists = connection.execute("select from pg_database where datname = %s", [DATABASE]).fetchone()
        if exists is None:
            connection.execute(sql.SQL("create database {}").format(sql.Identifier(DATABASE)))
    with connect(server.conninfo(DATABASE), "demo", limits=_LOADING, as_application=True) as connection:
        apply_schema(connection)
        if connection.execute("select from orders limit 1").fetchone() is None:
            generate(connection, orders=orders, report=report)
            connection.execute("analyze")
        _create_application_role(connection, server)
        mark(connection)  # it is nobody's: game days may break it


def _create_application_role(connection: psycopg.Connection[tuple[object, ...]], server: embedded.Server) -> None:
    # A new password at every start: it is kept nowhere but in the file that only we can read.
    password = secrets.token_urlsafe(24)
    role = sql.Identifier(APPLICATION)
    if connection.execute("select from pg_roles where rolname = %s", [APPLICATION]).fetchone() is None:
        connection.execute(sql.SQL("create role {} login connection limit 20").format(role))
    verifier = connection.pgconn.encrypt_password(password.encode(), APPLICATION.encode(), b"scram-sha-256").decode()
    connection.execute(sql.SQL("alter role {} password {}").format(role, verifier))  # no log ever sees the password
    if not is_installed(connection):  # from then on the role may not change the log, nor anybody's role
        for statement in ("grant {} on all tables in schema public to {}", "revoke {} on schema_migrations from {}"):
            connection.execute(sql.SQL(statement).format(_WRITES, role))
        connection.execute(sql.SQL("grant usage on all sequences in schema public to {}").format(role))
    pgpass = server.directory / "pgpass"
    kept = [line for line in pgpass.read_text().splitlines() if f":{APPLICATION}:" not in line]
    pgpass.write_text("\n".join([*kept, f"*:*:*:{APPLICATION}:{password}", ""]))


def _write_config(place: Place, server: embedded.Server) -> None:
    conninfo = server.conninfo(DATABASE).replace("\\", "\\\\").replace('"', '\\"')
    lines = [
        "# Written by tabsync demo at each start. Every command in this directory finds it.",
        'name = "demo"',
        f'database = "{conninfo}"',
        f'home = "{place.home}"',
        'manual = "manual.md"',
        f'profile = "{PROFILE}"',
    ]
    _write_manual(place)
    place.config.write_text("\n".join(lines) + "\n")


def _write_manual(place: Place) -> None:
    """The profile's manual with a night that comes round soon; one that is there stays."""
    if not place.manual.exists():
        place.manual.write_text(with_a_night(MANUAL.read_text(encoding="utf-8")), encoding="utf-8")


def _remove_half_made(directory: Path) -> None:
    shutil.rmtree(directory / "data", ignore_errors=True)
