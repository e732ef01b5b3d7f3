"""Everything that this chapter can do, declared."""

from __future__ import annotations

from tabsync.audit.declared_seals import SEALS
from tabsync.kernel.procedure import Group, Procedure

GROUPS: tuple[Group, ...] = (
    Group("audit", "The audit log: who changed what, sealed, and rows back from it.", "tabsync audit verify"),
)

PROCEDURES: tuple[Procedure, ...] = (*SEALS,)
