"""A PostgreSQL that has extensions of ours: its directory linked file by file, with their two files each beside."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tabsync.postgres import embedded, installation
from tests.servers import running_server

EXTENSIONS: Mapping[str, str] = {
    # Rows that CREATE EXTENSION makes, and a condition that keeps them out of every dump.
    "partly": "create table setting (name text primary key, standard boolean not null default false);"
    " insert into setting values ('a', true), ('b', true);"
    " select pg_catalog.pg_extension_config_dump('setting', 'where not standard');"
    " create sequence counter; select pg_catalog.pg_extension_config_dump('counter', '');"
    " create table fixed (n int); insert into fixed values (1), (2);",
    # Every row is dumped, and CREATE EXTENSION makes none.
    "wholly": "create table job (name text primary key); select pg_catalog.pg_extension_config_dump('job', '');",
    # Every row is dumped, and CREATE EXTENSION makes some of them again.
    "again": "create table word (name text primary key); insert into word values ('made');"
    " select pg_catalog.pg_extension_config_dump('word', '');",
    # It can be made only where it was let: as one that must be preloaded.
    "alone": "do $$ begin if current_setting('tests.alone', true) is distinct from 'on' then"
    " raise exception 'alone can only be made where it is preloaded'; end if; end $$;"
    " create table task (name text primary key); select pg_catalog.pg_extension_config_dump('task', '')",
}
"""Scripts of extensions, by name; each is made in the schema of its name."""


@contextmanager
def extended_server(place: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[embedded.Server]:
    """A running PostgreSQL 17 that has them, as every server that is started meanwhile; place: a directory for it."""
    own = installation.embedded().bindir.parent
    copy = place / "with-extensions"
    if not copy.exists():
        shutil.copytree(own, copy, symlinks=True, copy_function=_linked)
        for name, script in EXTENSIONS.items():
            directory = copy / "share" / "extension"
            (directory / f"{name}.control").write_text(
                f"default_version = '1.0'\nrelocatable = false\nschema = {name}\n"
            )
            (directory / f"{name}--1.0.sql").write_text(script)
    found = installation._wheel_bindir
    mine = installation._WHEELS[0]
    monkeypatch.setattr(installation, "_wheel_bindir", lambda one: copy / "bin" if one == mine else found(one))
    installation.installations.cache_clear()
    try:
        with running_server("extended") as server:
            yield server
    finally:
        monkeypatch.undo()
        installation.installations.cache_clear()


def _linked(source: str, target: str) -> str:
    with suppress(OSError):
        os.link(source, target)
        return target
    return str(shutil.copy2(source, target))
