"""What one can do about payments, declared."""

from __future__ import annotations

from tabsync.kernel.procedure import Group, Procedure

GROUPS: tuple[Group, ...] = ()
PROCEDURES: tuple[Procedure, ...] = ()
