"""audit seal and verify, declared."""

from __future__ import annotations

from tabsync.kernel.procedure import EVERYWHERE, Procedure

SEALS: tuple[Procedure, ...] = (
    Procedure(
        words="audit seal",
        summary="Seal the new entries of the audit log, so that a change to them is found.",
        example="tabsync audit seal",
        details=(
            "Entries of transactions that have ended are hashed, and the hashes are chained. The newest head is noted "
            "in the ledger and in each backup: outside of the database. A transaction that has changed something and "
            "stays open holds the sealing back, and is named. After a restore into another cluster the chain goes on "
            "with a mark."
        ),
        takes="database dry-run json",
        plan="tabsync.audit.seals.seal:plan_seal",
        show="tabsync.audit.seals.seal:show_seal",
        surfaces=EVERYWHERE,
        needs="the role that installed the audit log",
    ),
    Procedure(
        words="audit verify",
        summary="Check the audit log against its seals; the first entry that was changed is named.",
        example="tabsync audit verify",
        details=(
            "Every sealed entry is hashed anew. Found are entries that were changed, removed, added or moved, seals "
            "that are missing, and, by the heads noted in the ledger and in the backups, an end that was cut off and a "
            "chain that was computed anew. What can't be known is said: entries from before the first seal, and since "
            "the last."
            "\n\nWith --file an exported file is checked in the same way, without a database; that it is whole is "
            "known where the ledger has its SHA-256."
            "\n\nExit code 0: all is as it was sealed. 1: something was changed, or nothing is sealed."
        ),
        request="tabsync.audit.seals.verify:Verify",
        takes="database dry-run json",
        plan="tabsync.audit.seals.verify:plan_verify",
        show="tabsync.audit.seals.verify:show_verify",
        surfaces=EVERYWHERE,
        needs="the role that installed the audit log",
    ),
)
