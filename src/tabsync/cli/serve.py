"""tabsync serve, and the two processes that it keeps running: the console and the scheduler."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from tabsync.kernel.errors import Exit
from tabsync.kernel.request import Option

if TYPE_CHECKING:
    from threading import Event, Thread

    from tabsync.cli.terminal import Terminal
    from tabsync.service.scheduler import Scheduler
    from tabsync.workspace import Workspace

_LEAVES = 2.0  # seconds for the kept session to end in order


@dataclass(frozen=True, slots=True)
class Console:
    """What one may ask of console run."""

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


@dataclass(frozen=True, slots=True)
class Serve(Console):
    """What one may ask of serve."""

    once: Annotated[bool, Option("Do what is due now, wait for it, and end: no console; for cron and CI.")] = False


@dataclass(frozen=True, slots=True)
class Run:
    """What one may ask of scheduler run."""

    name: Annotated[str, Option("What this service is called, for items that are on one; by default the host.")] = ""
    once: Annotated[bool, Option("Do what is due now, wait for it, and end.")] = False


@dataclass(frozen=True, slots=True)
class Collect:
    """What one may ask of collector run."""

    name: Annotated[str, Option("What this process is called; by default the service's name.")] = ""
    tell: Annotated[bool, Option("Tell people of alerts too, as notifier run does.")] = False


@dataclass(frozen=True, slots=True)
class Notify:
    """What one may ask of notifier run."""

    name: Annotated[str, Option("What this process is called; by default the service's name.")] = ""


def serve_command(terminal: Terminal, request: Serve) -> int:
    """Serve the console and keep the schedule until Ctrl-C."""
    from tabsync.console.base.complete import check_complete
    from tabsync.service.parent import serve
    from tabsync.system.listen import checked_proxies, listen

    found = terminal.workspace()
    if request.once:
        return _once(found)
    checked_proxies(request.proxies)
    check_complete()  # a console that can't start would be started again for ever
    with listen(request.host, request.port, request.name) as listening:
        try:
            found.ledger()  # a ledger that can't be opened is told once, and not by each of the two
            words = terminal.procedure.command_line(request)[1:]
            common = _common(terminal, found)
            others = [["scheduler", "run", *common], ["collector", "run", "--tell", *common]]
            serve(listening, ["console", "run", *words, *common], others, _say)
        finally:
            found.close()
    return 0


def collect_command(terminal: Terminal, request: Collect) -> int:
    """Collect until Ctrl-C or SIGTERM."""
    import signal

    from tabsync.service.collector import Collector
    from tabsync.service.kept import Kept

    found = terminal.workspace()
    name = request.name or found.service_name
    collector = Collector(found, name, _say)
    kept = Kept(found, _say, collector.stopping).start()
    telling = _telling(found, name, collector.stopping) if request.tell else None
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: collector.stopping.set())
    try:
        collector.run()
    finally:
        collector.stopping.set()
        if telling is not None:
            telling.join()
        kept.join(_LEAVES)
        found.close()
    return 0


def _telling(found: Workspace, name: str, stopping: Event) -> Thread:
    """Tell people in a thread of this process: one of its own would take as much memory again, to wait."""
    from threading import Thread

    from tabsync.service.notifier import Notifier
    from tabsync.system.zone import machine_zone

    notifier = Notifier(found, name, machine_zone(), _say, stopping)

    def tell() -> None:
        try:
            notifier.run()
        finally:
            stopping.set()  # nobody measures without telling: whoever started this process starts it again

    thread = Thread(target=tell, name="notifier")
    thread.start()
    return thread


def notify_command(terminal: Terminal, request: Notify) -> int:
    """Tell people until Ctrl-C or SIGTERM."""
    import signal

    from tabsync.service.notifier import Notifier
    from tabsync.system.zone import machine_zone

    found = terminal.workspace()
    notifier = Notifier(found, request.name or found.service_name, machine_zone(), _say)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: notifier.stopping.set())
    try:
        notifier.run()
    finally:
        found.close()
    return 0


def console_command(terminal: Terminal, request: Console) -> None:
    """Serve the console alone, on a port that is open already."""
    import socket

    from tabsync.cli.terminal import paper
    from tabsync.console.serve import serve
    from tabsync.ledger.operators import operators
    from tabsync.service.parent import AGAIN, LISTENING

    found = terminal.workspace()
    handed = os.environ.pop(LISTENING, "")
    listening = socket.socket(fileno=int(handed)) if handed else None

    def ready(url: str) -> None:
        if os.environ.get(AGAIN):
            return
        paper().print(f"The console is at {url} (Ctrl-C stops it)", markup=False, soft_wrap=True)
        if not operators(found.ledger()):
            terminal.note("there is no operator who could log in: tabsync operator add NAME --role admin")
        if request.name and not request.proxies:
            terminal.note(
                "all logins seem to come from the proxy's address; if it sets X-Forwarded-For: --trusted-proxy ADDRESS"
            )

    try:
        serve(found, request.host, request.port, ready, request.name, request.proxies, listening)
    finally:
        found.close()


def run_command(terminal: Terminal, request: Run) -> int:
    """Keep the schedule until Ctrl-C or SIGTERM."""
    import signal

    found = terminal.workspace()
    if request.once:
        return _once(found, request.name)
    scheduler = _scheduler(found, request.name)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: scheduler.stopping.set())
    try:
        scheduler.run()
    finally:
        found.close()
    return 0


def _once(found: Workspace, name: str = "") -> int:
    import signal

    scheduler = _scheduler(found, name)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: scheduler.stopping.set())
    try:
        count = scheduler.once()
    finally:
        found.close()
    _say(f"{count} runs were due" if count != 1 else "1 run was due")
    if scheduler.failures:
        _say(f"{scheduler.failures} not done: tabsync schedule list")
    return int(Exit.PROBLEM_FOUND if scheduler.failures else Exit.DONE)


def _scheduler(found: Workspace, name: str) -> Scheduler:
    from tabsync.service.heartbeat import Heartbeat
    from tabsync.service.scheduler import Scheduler
    from tabsync.system.zone import machine_zone

    heartbeat = Heartbeat(found.heartbeat)
    return Scheduler(found, name or found.service_name, machine_zone(), found.at_once, _say, heartbeat=heartbeat)


def _common(terminal: Terminal, found: Workspace) -> list[str]:
    """What finds the same workspace again; a connection string is handed over in the environment, it may be secret."""
    if terminal.database:
        os.environ["TABSYNC_DATABASE"] = terminal.database
    words = ["--config", str(found.config_path)] if found.config_path else []
    return [*words, *(["--store", terminal.store] if terminal.store else [])]


def _say(line: str) -> None:
    # Whoever read it may be gone, or its disk full: the schedule is kept all the same.
    with contextlib.suppress(OSError, ValueError, AttributeError):
        sys.stderr.write(f"{time.strftime('%H:%M:%S')}  {line}\n")
        sys.stderr.flush()
