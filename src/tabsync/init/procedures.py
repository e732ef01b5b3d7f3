"""Everything that this chapter can do, declared."""

from __future__ import annotations

from tabsync.kernel.procedure import Procedure

PROCEDURES: tuple[Procedure, ...] = (
    Procedure(
        words="init",
        summary="Write tabsync.toml and manual.md for a database.",
        example="tabsync init postgresql://me@db.example.com/shop",
        details=(
            "Read a database's catalog and write tabsync.toml and manual.md for it: tables, enums, roles, "
            "provider.\n\nThe database is only read. A password in the URL is not written down."
        ),
        request="tabsync.cli.init:Init",
        takes="dry-run yes json no-config",
        command="tabsync.cli.init:init_command",
        records=True,
        needs="CONNECT",
    ),
)
