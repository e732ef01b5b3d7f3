"""Everything that this chapter can do, declared."""

from __future__ import annotations

from tabsync.kernel.procedure import EVERYWHERE, Group, Procedure

GROUPS: tuple[Group, ...] = (
    Group("ledger", "Copy the ledger into the store, bring it back, and prune it.", "tabsync ledger copy"),
)

_DOWN = "nothing: the database may be down"

PROCEDURES: tuple[Procedure, ...] = (
    Procedure(
        words="ledger copy",
        summary="Copy the ledger into the store, compressed and encrypted as backups are.",
        example="tabsync ledger copy",
        takes="store dry-run json",
        plan="tabsync.bookkeeping.copy:plan_copy",
        show="tabsync.bookkeeping.copy:show_copy",
        surfaces=EVERYWHERE,
        needs=_DOWN,
        evidence="ledger",
    ),
    Procedure(
        words="ledger fetch",
        summary="Bring the newest copy of the ledger back to a file.",
        example="tabsync ledger fetch ledger.sqlite",
        request="tabsync.bookkeeping.copy:Fetch",
        takes="store json",
        read="tabsync.bookkeeping.copy:look_fetch",
        needs=_DOWN,
    ),
    Procedure(
        words="ledger prune",
        summary="Count the records of runs that are older than the manual keeps them; --apply deletes them.",
        example="tabsync ledger prune --apply",
        details="How long they are kept is in the class `ledger` of the Retention table: a year where it isn't there.",
        request="tabsync.bookkeeping.prune:Prune",
        takes="dry-run yes json",
        plan="tabsync.bookkeeping.prune:plan_prune",
        show="tabsync.bookkeeping.prune:show_prune",
        surfaces=EVERYWHERE,
        needs=_DOWN,
        approval="it deletes the records of old runs",
        approval_if="--apply",
        approval_binds="retention",
    ),
)
