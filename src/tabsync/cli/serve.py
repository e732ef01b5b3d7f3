"""tabsync serve."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from tabsync.kernel.request import Option

if TYPE_CHECKING:
    from tabsync.cli.terminal import Terminal


@dataclass(frozen=True, slots=True)
class Serve:
    """What one may ask of serve."""

    host: Annotated[str, Option("Address to listen on.")] = "127.0.0.1"
    port: Annotated[int, Option("Port to listen on; 0 picks a free one.", minimum=0, maximum=65535)] = 8420
    name: Annotated[tuple[str, ...], Option("Host name of a TLS proxy in front of the console.")] = ()
    proxies: Annotated[
        tuple[str, ...],
        Option(
            "Address or network of that proxy; only its X-Forwarded-For header is trusted.",
            ("--trusted-proxy",),
            metavar="ADDRESS",
        ),
    ] = ()


def serve_command(terminal: Terminal, request: Serve) -> None:
    """Serve the console until Ctrl-C."""
    from tabsync.cli.terminal import paper
    from tabsync.console.serve import serve
    from tabsync.ledger.operators import operators

    found = terminal.workspace()

    def ready(url: str) -> None:
        paper().print(f"The console is at {url} (Ctrl-C stops it)", markup=False, soft_wrap=True)
        if not operators(found.ledger()):
            terminal.note("there is no operator who could log in: tabsync operator add NAME --role admin")
        if request.name and not request.proxies:
            terminal.note(
                "all logins seem to come from the proxy's address; if it sets X-Forwarded-For: --trusted-proxy ADDRESS"
            )

    try:
        serve(found, request.host, request.port, ready, request.name, proxies=request.proxies)
    finally:
        found.close()


@dataclass(frozen=True, slots=True)
class Run:
    """What one may ask of scheduler run."""

    name: Annotated[str, Option("What this service is called, for items that are `on` one; this machine's name.")] = ""
    once: Annotated[bool, Option("Do what is due now, wait for it, and end.")] = False


def run_command(terminal: Terminal, request: Run) -> None:
    """Keep the schedule until Ctrl-C or SIGTERM."""
    import signal
    import socket
    import sys
    import time

    from tabsync.schedule.zone import machine_zone
    from tabsync.service.scheduler import Scheduler

    found = terminal.workspace()

    def say(line: str) -> None:
        sys.stderr.write(f"{time.strftime('%H:%M:%S')}  {line}\n")
        sys.stderr.flush()

    scheduler = Scheduler(found, request.name or socket.gethostname(), machine_zone(), say=say)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: scheduler.stopping.set())
    try:
        if request.once:
            scheduler.once()
        else:
            scheduler.run()
    finally:
        found.close()
