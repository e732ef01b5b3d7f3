"""How long the log is kept, declared: months that go to the stores, and values of a person that are masked."""

from __future__ import annotations

from tabsync.kernel.procedure import EVERYWHERE, ON_REQUEST, Procedure

_NEEDS = "owner of the log, or a superuser"

KEEPING: tuple[Procedure, ...] = (
    Procedure(
        words="audit archive",
        summary="Move months that are older than the manual keeps them to the store, and drop them.",
        example="tabsync audit archive --dry-run",
        details=(
            "A month goes when the longest Kept of the table Audit has passed since its end. It is written to the "
            "store as COPY, compressed and encrypted as backups are, with a manifest, and read back; only then is it "
            "dropped. What the seals have of it stays, so the chain can still be verified. --hold REASON begins a "
            "legal hold: nothing is dropped or masked until --release."
        ),
        request="tabsync.audit.keeping.archive:Archive",
        takes="database store dry-run yes json",
        plan="tabsync.audit.keeping.archive:plan_archive",
        show="tabsync.audit.keeping.archive:show_archive",
        surfaces=EVERYWHERE,
        needs=_NEEDS,
        approval="it drops old months of the audit log from the database",
    ),
    Procedure(
        words="audit erase",
        summary="Mask a person's values in the audit log, with a mark that is recorded and sealed.",
        example='tabsync audit erase 5d1bdb0e-8e4f-4c8b-9fd3-0d8a3a0a3f10 --reason "request of 2026-11-29"',
        details=(
            "Entries stay, with who did what and when; the values of the columns become '(erased)'. Each entry gets a "
            "mark with its hash before and after, so that `audit verify` knows it from a forgery. Refused during a "
            "legal hold."
        ),
        request="tabsync.audit.keeping.erase:Erase",
        takes="database dry-run yes json",
        plan="tabsync.audit.keeping.erase:plan_erase",
        show="tabsync.audit.keeping.erase:show_erase",
        surfaces=ON_REQUEST,
        needs=_NEEDS,
    ),
)
