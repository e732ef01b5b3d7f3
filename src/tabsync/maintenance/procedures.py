"""Everything that this chapter can do, declared."""

from __future__ import annotations

from tabsync.kernel.procedure import EVERYWHERE, Group, Procedure

GROUPS: tuple[Group, ...] = (
    Group("maintenance", "Dead rows, the planner's statistics, invalid indexes.", "tabsync maintenance vacuum"),
)

_NEEDS = "owner of the table or the database; on 17 and later pg_maintain"

PROCEDURES: tuple[Procedure, ...] = (
    Procedure(
        words="maintenance vacuum",
        summary="Remove dead rows from a table, or from all; first see what would prevent it.",
        example="tabsync maintenance vacuum public.orders --analyze",
        details=(
            "Whoever may still see rows that are dead keeps VACUUM from removing them: an open transaction, a prepared "
            "one, a slot, a standby. What has done so for long is told; where next to nothing would be removed, it is "
            "refused. Ctrl-C cancels it; what was removed stays removed. A table that another session has locked is "
            "told."
            "\n\nExit code 0: done. 1: some tables could not be done."
        ),
        request="tabsync.maintenance.vacuum:Vacuum",
        takes="database dry-run json",
        plan="tabsync.maintenance.vacuum:plan_vacuum",
        show="tabsync.maintenance.vacuum:show_tables",
        surfaces=EVERYWHERE,
        needs=_NEEDS,
    ),
    Procedure(
        words="maintenance analyze",
        summary="Make the planner's statistics of a table new, or of all.",
        example="tabsync maintenance analyze public.orders",
        details="Exit code 0: done. 1: some tables could not be done.",
        request="tabsync.maintenance.vacuum:Analyze",
        takes="database dry-run json",
        plan="tabsync.maintenance.vacuum:plan_analyze",
        show="tabsync.maintenance.vacuum:show_tables",
        surfaces=EVERYWHERE,
        needs=_NEEDS,
    ),
    Procedure(
        words="maintenance indexes",
        summary="List the indexes that are invalid; build them anew or drop them, and block nobody's writes.",
        example="tabsync maintenance indexes --rebuild --dry-run",
        details=(
            "An index that CREATE INDEX CONCURRENTLY or REINDEX CONCURRENTLY could not finish is updated by each write "
            "and read by no query. What such an attempt has left (_ccnew, _ccold) is dropped. One that is being built "
            "now is left. After an interruption, run it again.\n\nExit code 0: none is invalid, or all were dealt "
            "with. 1: some are invalid."
        ),
        request="tabsync.maintenance.indexes:Indexes",
        takes="database dry-run json",
        plan="tabsync.maintenance.indexes:plan_indexes",
        show="tabsync.maintenance.indexes:show_indexes",
        surfaces=EVERYWHERE,
        needs="owner of the table",
    ),
)
