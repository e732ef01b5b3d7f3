"""tabsync demo."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from tabsync.kernel.request import Option

if TYPE_CHECKING:
    from tabsync.cli.terminal import Terminal
    from tabsync.demo.place import Place
    from tabsync.demo.run import Demo as Running


@dataclass(frozen=True, slots=True)
class Demo:
    """What one may ask of demo."""

    once: Annotated[bool, Option("Take a backup, prove it, print the verdict, stop everything.")] = False
    orders: Annotated[int, Option("Orders to generate the first time.", minimum=100, maximum=10000000)] = 20000
    port: Annotated[int, Option("The console's port; 0 picks a free one.", minimum=0, maximum=65535)] = 8420
    reset: Annotated[bool, Option("Delete the demo's database first, and create it again.")] = False


def demo_command(terminal: Terminal, request: Demo) -> int:
    """Start the demo, prove its backup, and keep the console running."""
    from pathlib import Path

    from tabsync.backups.procedures.drill import page_of_drill
    from tabsync.cli.progress import filling
    from tabsync.cli.terminal import print_json
    from tabsync.demo.place import place_in
    from tabsync.demo.run import up
    from tabsync.kernel.errors import BadUsage, Exit

    once, json = request.once, terminal.json
    if json and not once:
        raise BadUsage(
            "--json needs --once: a demo that stays running has no result to print", "tabsync demo --once --json"
        )
    place = place_in(Path.cwd())
    if request.reset:
        _reset(terminal, place)
    if not once:
        _check_port(request.port)
    with filling(shown=not json) as (say, report_progress), up(place, request.orders, say, report_progress) as running:
        report = running.prove(terminal.listener())
        counts = running.traffic.counts()
        if json:
            print_json({"version": 1, "kind": "demo", "drill": report.data, "traffic": counts})
        else:
            terminal.page(page_of_drill(report))
        if not once and report.exit_code is not Exit.FAILED_PARTWAY:  # whoever pressed Ctrl-C wants it to end
            _leave_console_running(running, request.port)
        say(_describe(running.traffic.counts()))
    return int(report.exit_code)


def _check_port(port: int) -> None:
    from tabsync.system.listen import listen

    listen("127.0.0.1", port).close()  # now, and not after a minute's work


def _reset(terminal: Terminal, place: Place) -> None:
    from dataclasses import replace

    from tabsync.demo.run import plan_reset
    from tabsync.workspace import find

    plan = plan_reset(place)
    if not terminal.yes:
        terminal.plan(plan)
    found = find(place.config if place.config.is_file() else None)
    replace(terminal, json=False).run(found, plan).raise_if_failed()


def _leave_console_running(running: Running, port: int) -> None:
    from tabsync.cli.terminal import paper
    from tabsync.console.serve import serve
    from tabsync.demo.night import kept
    from tabsync.demo.place import announce
    from tabsync.demo.run import fresh_operator

    name, password = fresh_operator(running.workspace)

    def ready(url: str) -> None:
        announce(running.place, url)
        out = paper()
        out.print(f"\n[bold]The console is at {url}[/]  log in as {name} with {password}", markup=True)
        out.print(
            "Every tabsync command in this directory uses this demo; try: tabsync status. Ctrl-C stops everything."
        )
        out.print("A night in two minutes: a backup, its proof and what nobody did are on the page Schedule.")

    with kept(running.workspace):
        serve(running.workspace, port=port, on_ready=ready)


def _describe(counts: dict[str, int]) -> str:
    return "Traffic during the demo: " + ", ".join(
        f"{count:,} {what.replace('_', ' ')}" for what, count in counts.items()
    )
