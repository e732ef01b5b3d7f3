"""Everything that this chapter can do, declared."""

from __future__ import annotations

from tabsync.kernel.procedure import Group, Procedure

GROUPS: tuple[Group, ...] = (
    Group("user", "See the application's users, and give them other roles.", "tabsync user show ana@example.com"),
)

_NEEDS = "the role that ran tabsync audit install"
_RULES = (
    "By --by, a user whose role is above both: the top role may also give and take itself. Nobody changes their own "
    "role, and the last one with the top role stays. Role and audit entry are written in one transaction."
)

PROCEDURES: tuple[Procedure, ...] = (
    Procedure(
        words="user promote",
        summary="Give a user a higher role, with a reason.",
        example='tabsync user promote ana@example.com --to WAITER --by eva@example.com --reason "hired"',
        details=f"{_RULES} The password of --by is asked for.",
        request="tabsync.users.change:Promote",
        takes="database dry-run json",
        command="tabsync.cli.user:change_command",
        show="tabsync.users.change:show_change",
        records=True,
        needs=_NEEDS,
    ),
    Procedure(
        words="user demote",
        summary="Give a user a lower role, with a reason.",
        example='tabsync user demote ana@example.com --to CUSTOMER --by eva@example.com --reason "left"',
        details=f"{_RULES} The password of --by is asked for.",
        request="tabsync.users.change:Demote",
        takes="database dry-run json",
        command="tabsync.cli.user:change_command",
        show="tabsync.users.change:show_change",
        records=True,
        needs=_NEEDS,
    ),
)
