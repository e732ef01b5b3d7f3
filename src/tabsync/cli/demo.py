"""tabsync demo."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from tabsync.cli.common import JsonOption, YesOption

if TYPE_CHECKING:
    from tabsync.demo.place import Place
    from tabsync.demo.run import Demo


def demo(
    once: Annotated[
        bool, typer.Option("--once", help="Take a backup, prove it, print the verdict, stop everything.")
    ] = False,
    orders: Annotated[int, typer.Option(min=100, max=10_000_000, help="Orders to generate the first time.")] = 20_000,
    port: Annotated[int, typer.Option(min=0, max=65535, help="The console's port; 0 picks a free one.")] = 8420,
    reset: Annotated[
        bool, typer.Option("--reset", help="Delete the demo's database first, and create it again.")
    ] = False,
    yes: YesOption = False,
    json: JsonOption = False,
) -> None:
    """Start a restaurant's PostgreSQL with live traffic, prove its backup, and keep the console running.

    Everything is in .tabsync/demo in this directory, and stops with Ctrl-C.

    Example: tabsync demo --once
    """
    from pathlib import Path

    from tabsync.cli.common import listener, print_json
    from tabsync.cli.drill import show_report
    from tabsync.cli.progress import filling
    from tabsync.demo.place import place_in
    from tabsync.demo.run import up
    from tabsync.kernel.errors import BadUsage, Exit

    if json and not once:
        raise BadUsage(
            "--json needs --once: a demo that stays running has no result to print", "tabsync demo --once --json"
        )
    place = place_in(Path.cwd())
    if reset:
        _reset(place, yes)
    if not once:
        _check_port(port)
    with filling(shown=not json) as (say, report_progress), up(place, orders, say, report_progress) as running:
        report = running.prove(listener(json=json))
        counts = running.traffic.counts()
        if json:
            print_json({"version": 1, "kind": "demo", "drill": report.data, "traffic": counts})
        else:
            show_report(report)
        if not once and report.exit_code is not Exit.FAILED_PARTWAY:  # whoever pressed Ctrl-C wants it to end
            _leave_console_running(running, port)
        say(_told(running.traffic.counts()))
    if report.exit_code:
        raise typer.Exit(int(report.exit_code))


def _check_port(port: int) -> None:
    from tabsync.console.serve import listen

    listen("127.0.0.1", port).close()  # now, and not after a minute's work


def _reset(place: Place, yes: bool) -> None:
    from tabsync.cli.common import carry_out, show_plan
    from tabsync.demo.run import plan_reset
    from tabsync.workspace import find

    plan = plan_reset(place)
    if not yes:
        show_plan(plan, json=False)
    found = find(place.config if place.config.is_file() else None)
    carry_out(found, plan, json=False, yes=yes)


def _leave_console_running(running: Demo, port: int) -> None:
    from tabsync.cli.app import app as program
    from tabsync.cli.common import console
    from tabsync.cli.manual import built_in
    from tabsync.console.serve import serve
    from tabsync.demo.place import announce
    from tabsync.demo.run import fresh_operator

    name, password = fresh_operator(running.workspace)

    def ready(url: str) -> None:
        announce(running.place, url)
        out = console()
        out.print(f"\n[bold]The console is at {url}[/]  log in as {name} with {password}", markup=True)
        out.print(
            "Every tabsync command in this directory uses this demo; try: tabsync status. Ctrl-C stops everything."
        )

    serve(running.workspace, port=port, on_ready=ready, is_built=built_in(typer.main.get_command(program)))


def _told(counts: dict[str, int]) -> str:
    return "Traffic during the demo: " + ", ".join(
        f"{count:,} {what.replace('_', ' ')}" for what, count in counts.items()
    )
