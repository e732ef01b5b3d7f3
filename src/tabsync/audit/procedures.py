"""Everything that this chapter can do, declared."""

from __future__ import annotations

from tabsync.audit.declared_keeping import KEEPING
from tabsync.audit.declared_reading import READING
from tabsync.audit.declared_seals import SEALS
from tabsync.kernel.procedure import EVERYWHERE, ON_REQUEST, Group, Procedure

GROUPS: tuple[Group, ...] = (
    Group(
        "audit", "The audit log that the database writes: install, watch, seal, verify, read.", "tabsync audit status"
    ),
)

_NEEDS = "owner of the log and of the audited tables; CREATEROLE, or a superuser, for a log that its owner can't change"

PROCEDURES: tuple[Procedure, ...] = (
    *READING,
    Procedure(
        words="audit install",
        summary="Record the changes of the manual's tables in the audit log, by triggers; online.",
        example="tabsync audit install --dry-run",
        details=(
            "What is audited is the section Audit of the manual. The log's table is partitioned by month, and becomes "
            "its own first partition; no row is copied, and nobody waits for a lock longer than a tenth of a second. "
            "Each step may run again: an install that was interrupted goes on when it is started again."
        ),
        request="tabsync.audit.install:Install",
        takes="database dry-run json",
        plan="tabsync.audit.install:plan_install",
        show="tabsync.audit.install:show_install",
        surfaces=ON_REQUEST,
        needs=_NEEDS,
    ),
    Procedure(
        words="audit remove",
        summary="Remove all of it from the database but the log itself.",
        example="tabsync audit remove --dry-run",
        details=(
            "The log keeps its entries, its partitions and its columns, and belongs to its owner again. The seals go: "
            "what they proved can't be proven any more. `audit install` begins anew."
        ),
        takes="database dry-run yes json",
        plan="tabsync.audit.remove:plan_remove",
        show="tabsync.audit.remove:show_remove",
        surfaces=ON_REQUEST,
        needs=_NEEDS,
    ),
    Procedure(
        words="audit status",
        summary="Say whether every change is recorded: triggers, functions, partitions, gaps.",
        example="tabsync audit status",
        details=(
            "Looks for triggers that are disabled or don't fire in all sessions, functions that were replaced, tables "
            "that are new, months that have no partition, and changes that could not be recorded."
            "\n\nExit code 0: in order. 1: something is not. 6: unknown."
        ),
        takes="database json",
        read="tabsync.audit.status:look_status",
        operator="viewer",
        needs="owner of the log, or a superuser",
    ),
    Procedure(
        words="audit repair",
        summary="Put right what `audit status` finds: triggers, functions, partitions for three months ahead.",
        example="tabsync audit repair --dry-run",
        details=(
            "Entries that the default partition caught get a partition of their own. What is in order stays as it is. "
            "A schedule starts it each week: then the next months are always there."
        ),
        takes="database dry-run json",
        plan="tabsync.audit.repair:plan_repair",
        show="tabsync.audit.repair:show_repair",
        surfaces=EVERYWHERE,
        needs=_NEEDS,
    ),
    *SEALS,
    *KEEPING,
)
