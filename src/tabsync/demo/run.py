"""tabsync demo: bring it up, let guests in, prove a backup, leave the console running."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tabsync.audit.database.log import is_installed
from tabsync.audit.install import Install, plan_install
from tabsync.audit.seals.seal import plan_seal
from tabsync.backups.drill.drill import plan_drill, run_drill
from tabsync.demo import database
from tabsync.demo.place import DATABASE, Place, announce, take
from tabsync.kernel.plan import Plan
from tabsync.kernel.request import Nothing
from tabsync.kernel.runner import run
from tabsync.kernel.step import Facts, Risk, Step, call
from tabsync.manual.load import load
from tabsync.postgres import embedded
from tabsync.profiles.tabsync.traffic import Traffic
from tabsync.workspace import Workspace, find

if TYPE_CHECKING:
    from tabsync.backups.drill.report import Report
    from tabsync.kernel.runner import Listener
    from tabsync.workspace import Context

ORDERS = 20_000
RATE = 10.0
"""Visits of guests per second: enough to see things move, little enough for any laptop."""

_BOSS = "select id::text from public.users where role = 'SUPER_ADMIN' order by created_at, id limit 1"


@dataclass(frozen=True, slots=True)
class Demo:
    """A demo that is up: its workspace and its traffic."""

    place: Place
    workspace: Workspace
    traffic: Traffic
    server: embedded.Server

    def prove(self, listener: Listener) -> Report:
        """Run the main job: take a backup, restore it elsewhere, prove it, measure it."""
        plan = plan_drill(self.workspace, load(self.workspace.manual_path))
        return run_drill(self.workspace, plan, listener)


@contextmanager
def up(
    place: Place, orders: int, say: Callable[[str], None], report: Callable[[float, float, str], None]
) -> Iterator[Demo]:
    """A demo that is up for as long as the block runs; at its end, however it ends, nothing of it runs on.

    say: told what happens, in a line. Raises Refused when one is running here already.
    """
    place.home.mkdir(parents=True, exist_ok=True)
    held = take(place)
    announce(place)
    server: embedded.Server | None = None
    traffic: Traffic | None = None
    try:
        say("Starting PostgreSQL and loading a year of data of a restaurant")
        server = database.bring_up(place, orders, report)
        workspace = find(place.config)
        say("Installing the audit log: who changed what")
        _audited(workspace)
        say("Starting live traffic")
        traffic = Traffic(database.application_conninfo(server), seed=1, rate=RATE)
        traffic.start()
        yield Demo(place, workspace, traffic, server)
    finally:
        if traffic is not None:
            traffic.stop()
        if server is not None:
            embedded.stop(server)
        embedded.end_server(place.server)
        (place.home / "running.json").unlink(missing_ok=True)
        held.release()


def _audited(workspace: Workspace) -> None:
    """Install the audit log, as the manual has it, and seal it once; where it is installed, nothing is done.

    Raises what stopped it.
    """
    if load(workspace.manual_path).audit is None:
        return  # the demo's manual is of a time before this section
    with workspace.connect("audit") as connection:
        if is_installed(connection):
            return
    journal = workspace.journal()
    run(plan_install(workspace, Install()).plan, workspace, journal, approval="tabsync demo").raise_if_failed()
    run(plan_seal(workspace, Nothing()), workspace, journal, approval="tabsync demo").raise_if_failed()


def plan_reset(place: Place) -> Plan:
    """Plan to delete the demo's database; its backups and its ledger stay."""
    return Plan(
        procedure="demo --reset",
        title="Delete the demo's database",
        target={"database": DATABASE, "place": str(place.server)},
        confirm=DATABASE,
        steps=(
            Step(
                "delete",
                "Delete the demo's PostgreSQL",
                call(delete, directory=str(place.home.parent.parent)),
                f"stop the server and delete {place.server}",
                Risk.DESTRUCTIVE,
                "no undo, but its last backup can be restored",
            ),
        ),
    )


def delete(context: Context, *, directory: str) -> Facts:
    """Delete the demo's server directory. Raises Refused when a demo is running there."""
    from pathlib import Path

    from tabsync.demo.place import place_in

    place = place_in(Path(directory))
    held = take(place)
    embedded.end_server(place.server)
    place.manual.unlink(missing_ok=True)  # that of the program is written anew
    held.remove()
    return {}


def fresh_operator(workspace: Workspace) -> tuple[str, str]:
    """The demo's operator with a new password, told once and kept nowhere."""
    from tabsync.ledger.operator_users import map_user
    from tabsync.ledger.operators import add_operator, new_password, operators, set_password
    from tabsync.postgres.catalog import identity
    from tabsync.stores.manifest import subject_of

    name, password, ledger = "demo", new_password(), workspace.ledger()
    if any(one.name == name for one in operators(ledger)):
        set_password(ledger, name, password, by="tabsync demo")
    else:
        add_operator(ledger, name, password, "admin", by="tabsync demo")
    with workspace.connect("demo") as connection:
        subject = subject_of(identity(connection))
        boss = connection.execute(_BOSS).fetchone()
    map_user(ledger, name, subject, boss[0] if boss else "", by="tabsync demo")  # who gives others their roles
    return name, password
