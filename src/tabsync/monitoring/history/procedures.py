"""What one can see of what was measured, declared."""

from __future__ import annotations

from tabsync.kernel.procedure import Group, Procedure

_HOME = "nothing: the database may be down"
_LOOKS = "tabsync.monitoring.history.looks"

GROUPS: tuple[Group, ...] = (Group("metrics", "What was measured: now, and over time.", "tabsync metrics list"),)

PROCEDURES: tuple[Procedure, ...] = (
    Procedure(
        words="metrics list",
        summary="List each metric of the manual: its last value, how it stands, or why it is unknown.",
        example="tabsync metrics list --json",
        details="It shows what the collector of tabsync serve measured last, and asks the database nothing.",
        read=f"{_LOOKS}:look_list",
        operator="viewer",
        takes="json",
        needs=_HOME,
    ),
    Procedure(
        words="metrics show",
        summary="Show one metric: its last values, its bounds, and the query that measures it.",
        example='tabsync metrics show "Active connections"',
        request=f"{_LOOKS}:Show",
        read=f"{_LOOKS}:look_show",
        operator="viewer",
        takes="json",
        needs=_HOME,
    ),
    Procedure(
        words="metrics history",
        summary="Show a metric over time.",
        example='tabsync metrics history "Active connections" --since 7d',
        details=(
            "Raw values are kept for 7 days, the lowest, mean and highest of 5 minutes for 30 days, and of an hour for "
            "13 months.\n\nExit code 6: nothing was measured in this time."
        ),
        request=f"{_LOOKS}:Past",
        read=f"{_LOOKS}:look_history",
        operator="viewer",
        takes="json",
        needs=_HOME,
    ),
    Procedure(
        words="metrics sessions",
        summary="Show who logs in: role, application, address, first and last seen; and how many passed unseen.",
        example="tabsync metrics sessions --since 30d",
        details=(
            "The collector looks every half minute, and the server counts all sessions: those that began and ended "
            "between two looks are known by their number only.\n\nExit code 6: nobody has looked yet."
        ),
        request="tabsync.monitoring.history.who:Who",
        read="tabsync.monitoring.history.who:look_sessions",
        operator="viewer",
        takes="json",
        needs=_HOME,
    ),
)
