"""What one can do with alerts, declared."""

from __future__ import annotations

from tabsync.kernel.procedure import EVERYWHERE, ON_REQUEST, Group, Procedure

_LEDGER = "nothing: the database may be down"
_MARKS = "tabsync.monitoring.alerts.marks"
_LIST = "tabsync.monitoring.alerts.list"

GROUPS: tuple[Group, ...] = (
    Group("alert", "What is wrong and who was told; acknowledge, silence, test.", "tabsync alert list"),
    Group("window", "Spans in which alerts are expected: they are kept, and not sent.", "tabsync window list"),
)

PROCEDURES: tuple[Procedure, ...] = (
    Procedure(
        words="alert list",
        summary="List what fires, what is silenced, and when each bound was last proven to fire.",
        example="tabsync alert list --json",
        read=f"{_LIST}:look_list",
        operator="viewer",
        needs=_LEDGER,
    ),
    Procedure(
        words="alert show",
        summary="Show one alert: what it means, since when, what to do, and who was told.",
        example="tabsync alert show 3f2a",
        request=f"{_LIST}:Show",
        read=f"{_LIST}:look_show",
        operator="viewer",
        needs=_LEDGER,
    ),
    Procedure(
        words="alert history",
        summary="List what fired, the newest first.",
        example="tabsync alert history --since 30d",
        request=f"{_LIST}:History",
        read=f"{_LIST}:look_history",
        operator="viewer",
        needs=_LEDGER,
    ),
    Procedure(
        words="alert ack",
        summary="Acknowledge an alert: nobody else is told, and nobody is reminded.",
        example='tabsync alert ack 3f2a --note "I am on it"',
        details="With --gone it ends: what it is about, such as a standby that was removed, does not exist any more.",
        request=f"{_MARKS}:Ack",
        takes="dry-run json",
        plan=f"{_MARKS}:plan_ack",
        show=f"{_MARKS}:show",
        surfaces=ON_REQUEST,
        operator="responder",
        needs=_LEDGER,
    ),
    Procedure(
        words="alert silence",
        summary="Send nothing of a metric for some time, with a reason; at most 30 days.",
        example='tabsync alert silence "Dead tuples" --for 2h --reason "vacuum runs"',
        request=f"{_MARKS}:Quiet",
        takes="dry-run json",
        plan=f"{_MARKS}:plan_silence",
        show=f"{_MARKS}:show",
        surfaces=ON_REQUEST,
        operator="responder",
        needs=_LEDGER,
    ),
    Procedure(
        words="alert unsilence",
        summary="End a silence.",
        example="tabsync alert unsilence 3",
        request=f"{_MARKS}:Loud",
        takes="dry-run json",
        plan=f"{_MARKS}:plan_unsilence",
        show=f"{_MARKS}:show",
        surfaces=ON_REQUEST,
        operator="responder",
        needs=_LEDGER,
    ),
    Procedure(
        words="alert test",
        summary="Let an alert fire once, marked TEST, and see that everybody is told: then it is proven.",
        example='tabsync alert test "Active connections"',
        request="tabsync.monitoring.alerts.prove:Prove",
        takes="dry-run json",
        plan="tabsync.monitoring.alerts.prove:plan_test",
        show="tabsync.monitoring.alerts.prove:show",
        surfaces=EVERYWHERE,
        needs=_LEDGER,
    ),
    Procedure(
        words="alert backtest",
        summary="Show which alerts a bound would have given, by what was measured.",
        example='tabsync alert backtest "Active connections" --days 30 --bound "> 70 %"',
        request="tabsync.monitoring.alerts.backtest:Backtest",
        read="tabsync.monitoring.alerts.backtest:look_backtest",
        operator="viewer",
        needs=_LEDGER,
    ),
    Procedure(
        words="window open",
        summary="Open a window in which alerts are expected: they are kept, and only critical ones are sent.",
        example='tabsync window open --for 2h --reason "the disk is replaced"',
        request=f"{_MARKS}:Open",
        takes="dry-run json",
        plan=f"{_MARKS}:plan_open",
        show=f"{_MARKS}:show",
        surfaces=EVERYWHERE,
        approval="it withholds critical alerts",
        approval_if="--critical-too",
        needs=_LEDGER,
    ),
    Procedure(
        words="window close",
        summary="Close a window before it ends.",
        example="tabsync window close 3",
        request=f"{_MARKS}:Close",
        takes="dry-run json",
        plan=f"{_MARKS}:plan_close",
        show=f"{_MARKS}:show",
        surfaces=EVERYWHERE,
        needs=_LEDGER,
    ),
    Procedure(
        words="window list",
        summary="List the windows that are open, or will be.",
        example="tabsync window list",
        read=f"{_MARKS}:look_windows",
        operator="viewer",
        needs=_LEDGER,
    ),
)
