"""Drills, declared."""

from __future__ import annotations

from tabsync.kernel.procedure import EVERYWHERE, Procedure

DRILLS: tuple[Procedure, ...] = (
    Procedure(
        words="drill",
        summary="Prove that a backup can be restored, and measure how fast.",
        example="tabsync drill --backup latest",
        details=(
            "Prove that a backup can be restored: restore it, compare every byte, measure RTO and RPO.\n\nThe "
            "database is only read. The copy is in a scratch server that is deleted at the end. The exit code "
            "is 0 only if the copy is identical and both targets of the manual are met."
        ),
        request="tabsync.backups.procedures.drill:Drill",
        takes="database store dry-run json",
        plan="tabsync.backups.procedures.drill:plan_drill",
        show="tabsync.backups.procedures.drill:show_drill",
        after="tabsync.backups.procedures.drill:after_drill",
        surfaces=EVERYWHERE,
        needs="pg_read_all_data, only without --backup",
        evidence="drill",
        fits="tabsync.backups.procedures.evidence:drill_fits",
        shows_failure=True,
    ),
    Procedure(
        words="drill monthly",
        summary="Drill the newest full backup of the most distant store.",
        example="tabsync drill monthly --staging service=staging",
        details=(
            "Restores and proves it, and checks every index of the copy. The recovery time is compared with "
            "the manual's target. The data loss is shown without a target, since a dump alone can't promise "
            "one: see drill quarterly."
        ),
        request="tabsync.backups.procedures.drill:Monthly",
        takes="database store dry-run json",
        plan="tabsync.backups.procedures.drill:plan_monthly",
        show="tabsync.backups.procedures.drill:show_monthly",
        after="tabsync.backups.procedures.drill:after_drill",
        surfaces=EVERYWHERE,
        shows_failure=True,
        needs="nothing: the database may be down",
        evidence="drill",
        fits="tabsync.backups.procedures.evidence:drill_fits",
    ),
    Procedure(
        words="drill quarterly",
        summary="Simulate the loss of the source, and recover the cluster.",
        example="tabsync drill quarterly",
        details=(
            "The recovery target is a random second of the last day. Measures which commits would be lost "
            "(RPO, by test records in the WAL; nothing is written into a table) and the time until a query on "
            "the copy succeeds (RTO). The exit code is 0 only if both targets are met."
        ),
        takes="database store dry-run json",
        plan="tabsync.backups.procedures.drill:plan_quarterly",
        show="tabsync.backups.procedures.drill:show_quarterly",
        after="tabsync.backups.procedures.drill:after_quarterly",
        surfaces=EVERYWHERE,
        needs="superuser or pg_read_all_data, for the canary commits",
        evidence="quarterly",
        shows_failure=True,
    ),
)
