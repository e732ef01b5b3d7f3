"""audit list, show and export, declared."""

from __future__ import annotations

from tabsync.kernel.procedure import Procedure

READING: tuple[Procedure, ...] = (
    Procedure(
        words="audit list",
        summary="List who changed what, the newest first, without the values.",
        example="tabsync audit list --action DELETE --since '1 hour ago'",
        details=(
            "All options narrow it together. A page has 50 entries; --before ID gives the next one. Who is the actor "
            "that the application named, else the role of the session; an actor that was not signed is told as such."
        ),
        request="tabsync.audit.reading.list:List",
        takes="database json",
        read="tabsync.audit.reading.list:look_list",
        operator="responder",
        needs="the role that installed the audit log",
    ),
    Procedure(
        words="audit show",
        summary="Show an entry of the audit log, column by column, and what else its transaction did.",
        example="tabsync audit show 12345",
        details="It shows values of rows: in the console only to an admin. They are not kept on record.",
        request="tabsync.audit.reading.show:Show",
        takes="database json",
        read="tabsync.audit.reading.show:look_show",
        needs="the role that installed the audit log",
    ),
    Procedure(
        words="audit export",
        summary="Write the entries of a time into a file, with the seals that prove them.",
        example="tabsync audit export november.jsonl --since 2026-11-01 --until 2026-12-01",
        details=(
            "A line of JSON for each entry with its hash, then the seals: from the first one that has an entry of the "
            "file to the newest, whose head is in the ledger and in the backups. The file can be read by its owner "
            "only."
        ),
        request="tabsync.audit.reading.export:Export",
        takes="database dry-run json",
        plan="tabsync.audit.reading.export:plan_export",
        show="tabsync.audit.reading.export:show_export",
        needs="the role that installed the audit log",
    ),
)
