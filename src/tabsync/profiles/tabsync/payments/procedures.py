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
)
