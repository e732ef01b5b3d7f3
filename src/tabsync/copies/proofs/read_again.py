"""What PostgreSQL itself makes of a dump's definitions: restored alone into an empty database, and dumped again.

A copy whose definition reads otherwise than the backup's has lost nothing if PostgreSQL writes it just so each time it
reads the backup's. The copy may have been changed since; the empty database has only ever seen the backup.
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from tabsync.copies.dumps.pg_dump import dump_directory
from tabsync.copies.dumps.properties import of_database
from tabsync.copies.proofs.reworded import same_object
from tabsync.copies.restores.different import Difference
from tabsync.copies.restores.passes import Restoring, in_passes
from tabsync.copies.restores.pg_restore import name_of
from tabsync.postgres import catalog
from tabsync.postgres.catalog import creation
from tabsync.postgres.connect import connect
from tabsync.postgres.installation import Installation
from tabsync.postgres.settings import NO_LIMIT
from tabsync.postgres.toc import Entry, read_toc

_LEFT_OUT = ("MATERIALIZED VIEW DATA", "SUBSCRIPTION", "EVENT TRIGGER", "SEQUENCE SET", "BLOB", "BLOBS")
"""What isn't needed to read definitions, or would act."""


def as_postgresql_writes(
    clients: Installation, claim: Path, conninfo: str, entries: Sequence[Entry], jobs: int, settings: Mapping[str, str]
) -> list[Entry]:
    """The entries of a dump of a new database into which a dump's definitions were restored, without rows.

    claim: the claimed directory in which the dump lies as "dump"; conninfo: the copy, whose encoding and locale the new
    database gets; entries: those of the dump; settings: of the sessions. What doesn't restore is not in the result.
    """
    name = f"tabsync_words_{secrets.token_hex(4)}"
    there, again = make_conninfo(conninfo, dbname=name), claim / "words"
    wanted = [one for one in entries if one.section != "data" and one.kind not in _LEFT_OUT and not of_database(one)]
    with connect(conninfo, "drill", limits=NO_LIMIT) as connection:
        connection.execute(creation(name, catalog.database_facts(connection)))
        try:
            how = (clients, claim / "dump", "directory", claim, there, name, (f"--jobs={jobs}",), lambda *_: None)
            restoring = Restoring(*how, settings)
            in_passes(restoring, wanted, lambda: connect(there, "drill", limits=NO_LIMIT), go_on=True)
            dump_directory(
                there,
                again,
                clients,
                jobs=1,
                claim=claim,
                options=("--schema-only",),
                report=lambda *_: None,
                settings=settings,
            )
            return read_toc(again / "toc.dat")
        finally:
            shutil.rmtree(again, ignore_errors=True)
            with suppress(psycopg.Error):  # with a server that is gone, it is gone too
                connection.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))


def unlike(reworded: Sequence[Entry], again: Collection[Entry]) -> list[Difference]:
    """Of definitions of a copy, those that PostgreSQL doesn't write so when it reads the backup's: pure."""
    found = {same_object(one): one.definition for one in again}
    return [
        Difference(one.kind.lower(), one.schema, one.name)
        for one in reworded
        if found.get(same_object(one)) != one.definition
    ]


def reworded_note(one: Entry) -> str:
    """That a definition reads otherwise in every copy, in words."""
    what = f"{one.kind.lower()} {name_of(one)}"
    return f"{what}: PostgreSQL writes its definition in other words after every restore; it means the same"
