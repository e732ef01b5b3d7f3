"""The schedule, declared: it starts what other chapters do, so it stands above them."""

from __future__ import annotations

from tabsync.kernel.procedure import ON_REQUEST, Group, Procedure

GROUPS: tuple[Group, ...] = (
    Group(
        "schedule",
        "What is due by the manual, what became of it, and what waits for a person.",
        "tabsync schedule list",
    ),
    Group("scheduler", "Keep the schedule without the console.", "tabsync scheduler run"),
    Group("console", "Serve the console without keeping the schedule.", "tabsync console run"),
    Group("service", "Let the operating system keep tabsync serve running.", "tabsync service unit --user tabsync"),
)

_LEDGER = "nothing: the database may be down"

PROCEDURES: tuple[Procedure, ...] = (
    Procedure(
        words="schedule list",
        summary="List each item of the schedule: when it is due, what became of it, and when it is due again.",
        example="tabsync schedule list --from 2026-12-01 --to 2026-12-07",
        details="With --from and --to: what this manual expects in these days, both included.",
        request="tabsync.schedule.list:List",
        read="tabsync.schedule.list:look_list",
        operator="viewer",
        needs=_LEDGER,
    ),
    Procedure(
        words="schedule next",
        summary="List what is due in the next days.",
        example="tabsync schedule next --days 14",
        request="tabsync.schedule.list:Next",
        read="tabsync.schedule.list:look_next",
        operator="viewer",
        needs=_LEDGER,
    ),
    Procedure(
        words="schedule show",
        summary="Show one item: when it is due, and what became of it lately.",
        example="tabsync schedule show backup-take-full --days 90",
        request="tabsync.schedule.list:Show",
        read="tabsync.schedule.list:look_show",
        operator="viewer",
        needs=_LEDGER,
    ),
    Procedure(
        words="schedule report",
        summary="Last night: what ran, what it proved, what is missing, what was otherwise the night before.",
        example="tabsync schedule report --html last-night.html",
        request="tabsync.schedule.report:Report",
        read="tabsync.schedule.report:look_report",
        operator="viewer",
        needs=_LEDGER,
    ),
    Procedure(
        words="schedule compliance",
        summary="Of all that was expected, how much was done in time; and what was not.",
        example="tabsync schedule compliance --since 90d --html compliance.html",
        request="tabsync.schedule.compliance:Compliance",
        read="tabsync.schedule.compliance:look_compliance",
        operator="viewer",
        needs=_LEDGER,
    ),
    Procedure(
        words="schedule run",
        summary="Run an item now, as the service would, and wait for it.",
        example="tabsync schedule run backup-take-full",
        request="tabsync.cli.schedule:Run",
        command="tabsync.cli.schedule:run_command",
        records=True,
        needs="what the item's procedure needs",
    ),
    Procedure(
        words="schedule skip",
        summary="Skip an item once, with a reason: the occurrence that is due now, or the next.",
        example='tabsync schedule skip drill-monthly --reason "staging is being moved"',
        request="tabsync.schedule.marks:Skip",
        takes="dry-run json",
        plan="tabsync.schedule.marks:plan_skip",
        show="tabsync.schedule.marks:show",
        surfaces=ON_REQUEST,
        needs=_LEDGER,
    ),
    Procedure(
        words="schedule done",
        summary="Tick a task off that a person does.",
        example='tabsync schedule done "Review the error logs" --note "two timeouts, ticket 4711"',
        request="tabsync.schedule.marks:Done",
        takes="dry-run json",
        plan="tabsync.schedule.marks:plan_done",
        show="tabsync.schedule.marks:show",
        surfaces=ON_REQUEST,
        needs=_LEDGER,
    ),
    Procedure(
        words="schedule approve",
        summary="Approve that an item which can do harm is started by the schedule, as it stands in the manual now.",
        example="tabsync schedule approve backup-prune-apply",
        request="tabsync.schedule.marks:Approve",
        takes="dry-run json",
        plan="tabsync.schedule.marks:plan_approve",
        show="tabsync.schedule.marks:show",
        surfaces=ON_REQUEST,
        needs=_LEDGER,
    ),
    Procedure(
        words="schedule gate",
        summary="Check what the manual asks for before something is done: exit code 0 when all is there, else 1.",
        example='tabsync schedule gate "production deployment" --run',
        request="tabsync.cli.schedule:Gate",
        command="tabsync.cli.schedule:gate_command",
        records=True,
        operator="viewer",
        needs="nothing; with --run: what its procedures need",
    ),
    Procedure(
        words="scheduler run",
        summary="Keep the schedule until Ctrl-C, without the console.",
        example="tabsync scheduler run --name backup-host",
        request="tabsync.cli.serve:Run",
        takes="database store",
        command="tabsync.cli.serve:run_command",
        needs="what the scheduled procedures need",
    ),
    Procedure(
        words="console run",
        summary="Serve the console until Ctrl-C, without keeping the schedule.",
        example="tabsync console run --port 0",
        request="tabsync.cli.serve:Console",
        takes="database store",
        command="tabsync.cli.serve:console_command",
        needs="pg_monitor",
    ),
    Procedure(
        words="service unit",
        summary="Print a unit for systemd that keeps tabsync serve running.",
        example="tabsync service unit --user tabsync > /etc/systemd/system/tabsync.service",
        details=(
            "It is written for this tabsync.toml and this installation, and may write only where they need it. "
            "What is still missing, such as the user or a directory, is said on stderr."
        ),
        request="tabsync.cli.service_unit:Unit",
        takes="",
        command="tabsync.cli.service_unit:unit_command",
        needs="nothing: the database may be down",
    ),
)
