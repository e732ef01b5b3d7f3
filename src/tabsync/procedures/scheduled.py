"""The schedule, declared: it starts what other chapters do, so it stands above them."""

from __future__ import annotations

from tabsync.kernel.procedure import ON_REQUEST, Group, Procedure

GROUPS: tuple[Group, ...] = (
    Group("schedule", "What is due by the manual, what became of it, and what waits for a person."),
    Group("scheduler", "Keep the schedule without the console."),
    Group("console", "Serve the console without keeping the schedule."),
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
)
"""What only looks is a viewer's; what a person says of the schedule is an admin's."""

_ = ON_REQUEST
