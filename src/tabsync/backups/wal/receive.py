"""tabsync wal receive: pg_receivewal from a slot, whole segments and the open one into the store, until it is ended.

The slot keeps WAL on the server until pg_receivewal has written it here; here it stays until the store has it. So a
crash of this process, of the connection or of the store loses nothing. What is lost when the server vanishes with its
disk is what was committed since the open segment was stored last: at most --flush.
"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from tabsync.backups.physical.checks import check_replication
from tabsync.backups.wal.receiver import Receiver
from tabsync.backups.wal.slot import DEFAULT_SLOT, check_progress, check_slot, create
from tabsync.backups.wal.spool import Spool, last_whole
from tabsync.backups.wal.upstream import Options
from tabsync.kernel.errors import Refused
from tabsync.kernel.plan import Plan
from tabsync.kernel.step import Facts, Risk, Step, call
from tabsync.kernel.units import human_bytes, human_seconds
from tabsync.postgres import catalog
from tabsync.postgres.installation import Installation, clients_for
from tabsync.system.claims import Claim, claim, end_marked

if TYPE_CHECKING:
    from tabsync.workspace import Context, Workspace


def plan_receive(
    workspace: Workspace,
    *,
    slot: str = DEFAULT_SLOT,
    flush: float = 10.0,
    budget: int = 10 << 30,
    drop_over: int | None = None,
    once: bool = False,
) -> Plan:
    """Plan to receive the cluster's WAL.

    slot: made when it isn't there; flush: seconds of commits that may be lost with the server; budget: bytes of WAL
    that may wait at the server (an alarm) and here (then the server keeps the rest); drop_over: bytes kept by the
    server at which the slot is dropped; once: one round, to what there is now.
    Raises as check_replication, check_progress and check_slot do. Nothing is changed.
    """
    workspace.keys.check()
    workspace.store().look()
    with workspace.connect("wal") as connection:
        target = catalog.identity(connection)
        target["system_identifier"] = check_replication(connection, workspace.conninfo)
        check_progress(connection)
        check_slot(connection, slot)
    clients = clients_for(catalog.server_major(target))
    every = "all that exist now, once" if once else f"the unfinished one at least every {human_seconds(flush)}"
    return Plan(
        procedure="wal receive",
        title=f"Receive the WAL of the cluster into {workspace.store().url}",
        target=target,
        steps=(
            Step(
                "slot",
                f"Create the replication slot {slot} if it does not exist",
                call(create, slot=slot),
                preview=f"select pg_create_physical_replication_slot('{slot}', true), if it does not exist",
                risk=Risk.REVERSIBLE,
                undo=f"tabsync wal drop-slot --slot {slot}",
            ),
            Step(
                "receive",
                f"Store each finished segment, {every}",
                call(receive, target=target, slot=slot, flush=flush, budget=budget, drop_over=drop_over, once=once),
                preview=shlex.join(receivewal_command(clients, slot, Path("DIRECTORY")))
                + f"; at most {human_bytes(budget)} wait in {spool_directory(workspace, slot)}",
                risk=Risk.REVERSIBLE,
                undo="tabsync backup prune deletes WAL that no physical backup needs",
            ),
        ),
    )


def receivewal_command(clients: Installation, slot: str, directory: Path) -> list[str]:
    """The exact pg_receivewal command; the connection goes through the environment.

    Without --synchronous it reports only what it has flushed, at the end of a segment, so that the slot keeps the open
    one: https://www.postgresql.org/docs/current/app-pgreceivewal.html
    """
    command = [str(clients.program("pg_receivewal")), "--no-loop", "--no-password", "--status-interval=1"]
    return [*command, f"--slot={slot}", f"--directory={directory}"]


def spool_directory(workspace: Workspace, slot: str) -> Path:
    """Where WAL waits for the store; unlike scratch directories it outlives whoever claims it."""
    return workspace.home / "wal" / slot


def receive(
    context: Context, *, target: Facts, slot: str, flush: float, budget: int, drop_over: int | None, once: bool
) -> Facts:
    """Receive until interrupted, which is the ordinary end. Returns how many segments were stored, and until when."""
    workspace = context.workspace
    directory = spool_directory(workspace, slot)
    held = _claimed(directory)
    try:
        workspace.store().prepare()
        command = receivewal_command(clients_for(catalog.server_major(target)), slot, directory)
        spool = Spool(directory, str(target["system_identifier"]), workspace.store())
        options = Options(slot, flush, budget, drop_over)
        last = last_whole(workspace.store(), spool.system_identifier)
        with Receiver(workspace, context, spool, command, options, target, last) as receiver:
            try:
                receiver.run(once=once)
            except KeyboardInterrupt:
                receiver.stop()
            return receiver.facts()
    finally:
        end_marked(directory)
        held.release()


def _claimed(directory: Path) -> Claim:
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    held = claim(directory)
    if held is None:
        raise Refused(f"another tabsync wal receive is using {directory}", "one receiver is enough: tabsync wal status")
    end_marked(directory)  # a pg_receivewal that outlived its killed parent holds the slot
    return held
