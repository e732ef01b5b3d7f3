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
        words="user list",
        summary="List the application's users: role, since when, by whom, and what is odd about them.",
        example="tabsync user list --role SUPER_ADMIN",
        details="Since when, and by whom, is what the audit log says; without it that is unknown.",
        request="tabsync.users.show:ListUsers",
        takes="database json",
        read="tabsync.users.show:look_list",
        operator="viewer",
        needs="SELECT on the users' table",
    ),
    Procedure(
        words="user show",
        summary="Show a user: role, tenants, and what became of it by whom.",
        example="tabsync user show ana@example.com",
        details="An account that is the only admin of a tenant is marked, and so is one that was never verified.",
        request="tabsync.users.show:ShowUser",
        takes="database json",
        read="tabsync.users.show:look_show",
        operator="viewer",
        needs="SELECT on the users' table",
    ),
    Procedure(
        words="user create-super-admin",
        summary="Create a user with the manual's top role, on this machine only.",
        example='tabsync user create-super-admin eva@example.com --full-name "Eva Lima"',
        details=(
            "The password is asked for twice, and stored as a bcrypt hash of cost 10; one of more than 72 bytes is "
            "refused, because bcrypt reads no more. The address counts as verified. User and audit entry are written "
            "in one transaction."
        ),
        request="tabsync.users.create:Create",
        takes="database dry-run json",
        command="tabsync.cli.user:create_command",
        show="tabsync.users.create:show_create",
        records=True,
        again=True,
        needs=_NEEDS,
    ),
    Procedure(
        words="user disable",
        summary="Disable a user's account, with a reason; or enable it again.",
        example='tabsync user disable ana@example.com --by eva@example.com --reason "left"',
        details=f"{_RULES} The password of --by is asked for.",
        request="tabsync.users.disable:Disable",
        takes="database dry-run json",
        command="tabsync.cli.user:disable_command",
        show="tabsync.users.disable:show_disable",
        records=True,
        again=True,
        needs=_NEEDS,
    ),
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
        again=True,
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
        again=True,
        needs=_NEEDS,
    ),
)
