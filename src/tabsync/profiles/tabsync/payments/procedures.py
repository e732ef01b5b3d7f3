"""What can be done about payments, declared."""

from __future__ import annotations

from tabsync.kernel.procedure import Group, Procedure

GROUPS: tuple[Group, ...] = (
    Group("payments", "See which payments fail, and whose fault it is.", "tabsync payments failures"),
)

PROCEDURES: tuple[Procedure, ...] = (
    Procedure(
        words="payments failures",
        summary="Show which payments failed, and whether that is more than usual.",
        example="tabsync payments failures --since 1h",
        details=(
            "Our own rate of the last hour, against the same hours of the 7 days before. With fewer than 20 attempts, "
            "the manual's bounds decide. Of what the gateways answered, only documented codes are shown: no card, no "
            "name, no key. Exit code 0: as usual. 1: worse. 6: unknown."
        ),
        request="tabsync.profiles.tabsync.payments.failures:Failures",
        read="tabsync.profiles.tabsync.payments.failures:look_failures",
        takes="database json",
        operator="viewer",
        needs="SELECT on payments, split_payments, table_sessions, restaurants",
    ),
    Procedure(
        words="payments gateways",
        summary="Show what the gateways say of themselves.",
        example="tabsync payments gateways",
        details=(
            "The status pages that have a documented API are read; of the others there is the address, for a person. "
            "People write these pages, 15 to 30 minutes late. Exit code 0: nothing is reported. 1: trouble is. 6: a "
            "page could not be read, or is old."
        ),
        read="tabsync.profiles.tabsync.payments.gateways:look_gateways",
        takes="json",
        operator="viewer",
        needs="nothing",
    ),
    Procedure(
        words="payments changes",
        summary="Is it us? Show what changed here before the payments failed.",
        example="tabsync payments changes --since 2h",
        details=(
            "Deployments, migrations, restarts, settings of the server, roles, keys that the gateways refuse, clocks. "
            "Each is changed, nothing, or unknown, with the reason. Exit code 0: nothing. 1: something changed. 6: not "
            "all could be looked at."
        ),
        request="tabsync.profiles.tabsync.payments.changes:Changes",
        read="tabsync.profiles.tabsync.payments.changes:look_changes",
        takes="database json",
        operator="viewer",
        needs="SELECT on payments and on the tables of the migrations; pg_monitor",
    ),
)
