"""Everything that this chapter can do, declared."""

from __future__ import annotations

from tabsync.kernel.procedure import Group, Procedure
from tabsync.monitoring.alerts.procedures import GROUPS as ALERT_GROUPS
from tabsync.monitoring.alerts.procedures import PROCEDURES as ALERTS
from tabsync.monitoring.history.procedures import GROUPS as METRIC_GROUPS
from tabsync.monitoring.history.procedures import PROCEDURES as METRICS
from tabsync.monitoring.notify.procedures import PROCEDURES as NOTIFICATIONS

GROUPS: tuple[Group, ...] = (
    *ALERT_GROUPS,
    *METRIC_GROUPS,
    Group("replication", "See where a standby lags, and why.", "tabsync replication diagnose"),
)

PROCEDURES: tuple[Procedure, ...] = (
    Procedure(
        words="status",
        summary="Show whether something is wrong, and what to do next.",
        example="tabsync status --json",
        details=(
            "Show whether something is wrong: alerts, recent changes, blocked sessions, what to do, and "
            "recovery.\n\nExit code 0: nothing is wrong. 1: something is wrong. 3: no connection. 6: nothing is "
            "known to be wrong, but something is unknown."
        ),
        request="tabsync.procedures.status:Status",
        takes="database json",
        read="tabsync.procedures.status:look_status",
        needs="pg_monitor",
        operator="viewer",
    ),
    Procedure(
        words="health",
        summary="Check that the database answers and that its key tables can be read.",
        example="tabsync health --database service=production",
        details=(
            "Check that the database answers and the manual's key tables can be read.\n\nExit code 0: all checks "
            "passed. 1: a check failed. 3: no connection. With --nagios: one line, and the exit codes of a plugin of "
            "Nagios: 0 ok, 2 critical."
        ),
        request="tabsync.monitoring.shown:Health",
        takes="database json",
        read="tabsync.procedures.health:look_health",
        operator="viewer",
        needs="CONNECT, and SELECT on the manual's key tables",
    ),
    Procedure(
        words="replication diagnose",
        summary="Show where each standby lags: network, disk or replay; and which one is furthest.",
        example="tabsync replication diagnose --standby service=standby1",
        details=(
            "A standby that lags is the one that loses data when it is promoted: diagnose before anybody fails over."
            "\n\nExit code 0: no standby lags. 1: one lags, or is cut off. 6: not visible for this role."
        ),
        request="tabsync.monitoring.replication:Diagnose",
        takes="database json",
        read="tabsync.monitoring.replication:look_diagnose",
        operator="viewer",
        needs="pg_monitor",
    ),
    *ALERTS,
    *NOTIFICATIONS,
    *METRICS,
)
