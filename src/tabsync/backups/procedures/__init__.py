"""Everything that this chapter can do, declared; requests, plans and pages are in the files beside this one."""

from __future__ import annotations

from tabsync.backups.procedures.declared_backups import BACKUPS
from tabsync.backups.procedures.declared_drills import DRILLS
from tabsync.backups.procedures.declared_restores import RESTORES
from tabsync.backups.procedures.declared_wal import WAL
from tabsync.kernel.procedure import Group, Procedure

GROUPS: tuple[Group, ...] = (
    Group("drill", "Prove that a backup can be restored, and measure how fast."),
    Group("backup", "Take, list, verify, copy, sign, hold and prune backups."),
    Group("restore", "Restore a backup, or some of its tables or rows.", "tabsync restore new --from latest"),
    Group(
        "wal",
        "Archive the write-ahead log (WAL) for point-in-time recovery.",
        "tabsync backup take physical, and as a service: tabsync wal receive",
    ),
)

PROCEDURES: tuple[Procedure, ...] = (*DRILLS, *BACKUPS, *RESTORES, *WAL)
