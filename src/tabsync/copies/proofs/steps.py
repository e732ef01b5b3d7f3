"""The steps that restore a backup into a scratch server and prove the copy: of a drill, and of a deep verification."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from tabsync.copies.proofs.proof import answer, disaster, orphans, round_trip, rows
from tabsync.copies.restores.passes import PASSES
from tabsync.copies.restores.restore import restore
from tabsync.copies.restores.scratch import fetch, start, tidy
from tabsync.kernel.step import Facts, Risk, Step, call
from tabsync.postgres.catalog import Relation, server_major
from tabsync.postgres.installation import clients_for, server_for

if TYPE_CHECKING:
    from tabsync.workspace import Workspace


PROVEN = ("fetch", "scratch", "restore", "answer", "round_trip", "rows", "orphans")
"""The steps that must have ended well."""


def proof_steps(workspace: Workspace, backup: str, scratch: str, target: Facts, key_tables: list[Facts]) -> list[Step]:
    """The steps that restore a backup into a scratch server and prove the copy."""
    database = target["database"]
    clients, server = clients_for(server_major(target)), server_for(server_major(target))
    undo = "the scratch server is deleted at the end"
    return [
        Step(
            "disaster",
            "Treat the source as lost from now on",
            call(disaster, backup=backup),
            "select pg_current_wal_insert_lsn()",
        ),
        Step(
            "fetch",
            "Read and verify every stored object",
            call(fetch, backup=backup, scratch=scratch),
            "SHA-256 of each object of the backup",
            reads=(backup,),
        ),
        Step(
            "scratch",
            f"Start a scratch PostgreSQL {server.dotted}",
            call(start, backup=backup, scratch=scratch),
            f"initdb and pg_ctl start in {workspace.scratch(scratch)}",
            Risk.REVERSIBLE,
            undo,
        ),
        Step(
            "restore",
            f"Restore {database} into the scratch server",
            call(restore, backup=backup, scratch=scratch),
            f"{clients.program('pg_restore')} --format=directory --jobs={workspace.jobs}; {PASSES}",
            Risk.REVERSIBLE,
            undo,
        ),
        Step(
            "answer",
            "Read the key tables of the copy",
            call(answer, scratch=scratch, key_tables=key_tables),
            "read one row of each key table: " + ", ".join(str(Relation(**one)) for one in key_tables),
        ),
        Step(
            "round_trip",
            "Dump the copy and compare every byte",
            call(round_trip, backup=backup, scratch=scratch),
            "pg_dump of the copy with the same settings; SHA-256 of each table file against the manifest",
        ),
        Step("rows", "Count the rows", call(rows, scratch=scratch), "select count(*) from each table of the copy"),
        Step(
            "orphans",
            "Check the foreign keys for orphaned rows",
            call(orphans, backup=backup, scratch=scratch),
            "for each foreign key of the copy: count the rows whose referenced row does not exist",
        ),
    ]


def tidy_step(scratch: str) -> Step:
    """The step that stops the scratch server and takes it away, whatever happened."""
    return Step(
        "tidy_scratch",
        "Delete the scratch server",
        call(tidy, scratch=scratch),
        "stop the scratch server and delete its directory",
        Risk.REVERSIBLE,
        "no undo needed: the scratch server contained only a copy",
        always=True,
    )


def notes_of(results: Mapping[str, Facts]) -> tuple[str, ...]:
    """What the steps that made and proved a copy named beside the verdict, each thing once."""
    return tuple(dict.fromkeys(note for key in PROVEN for note in results.get(key, {}).get("notes", ())))
