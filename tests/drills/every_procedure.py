"""Every procedure once, on a database that somebody else prepared: no owner and no setting may stop it.

The database holds public.people, public.orders that refer to it, and what the test put beside them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict

from tabsync.backups.drill.drill import plan_drill
from tabsync.backups.pitr.target import Target
from tabsync.backups.procedures.diff import Diff, plan_diff
from tabsync.backups.query import answered
from tabsync.backups.restore.in_place import plan_restore_in_place, plan_undo_in_place
from tabsync.backups.restore.new import plan_restore_new
from tabsync.backups.restore.rows.restore import compared, plan_write_rows
from tabsync.backups.restore.rows.undo import plan_undo_rows
from tabsync.backups.restore.tables import plan_restore_tables
from tabsync.backups.restore.to_time import plan_to_time
from tabsync.backups.take import plan_take, plan_take_full
from tabsync.backups.take_file import plan_take_file
from tabsync.backups.take_physical import plan_take_physical
from tabsync.backups.verify import plan_verify
from tabsync.backups.wal.receive import plan_receive
from tabsync.backups.wal.slot import DEFAULT_SLOT
from tabsync.backups.wal.status import wal_status
from tabsync.init.plan import plan_init
from tabsync.kernel.plan import Plan
from tabsync.kernel.request import Nothing
from tabsync.kernel.runner import Outcome, run
from tabsync.maintenance.indexes import Indexes, plan_indexes
from tabsync.maintenance.vacuum import Vacuum, plan_vacuum
from tabsync.manual.load import load
from tabsync.monitoring.health import check_health
from tabsync.procedures.status import look
from tabsync.sessions.locks import look_locks
from tabsync.sessions.queries import Queries, look_queries
from tabsync.sessions.show import Show, look_show
from tabsync.sessions.terminate import Terminate, plan_terminate
from tabsync.workspace import Workspace

CONTENT = """
create table public.people (id int primary key, name text, at timestamptz default now(), share float8 default 0.1,
                            photo bytea default '\\x00ff', every interval default '1 day 02:03', words text[]);
create table public.orders (id int primary key, person int references public.people on delete cascade);
insert into public.people (id, name, words) select g, 'n' || g || 'ä€', array['a', null] from generate_series(1, 50) g;
insert into public.orders select g, g from generate_series(1, 50) g;
create index on public.people using gin (words);
create view public.everybody as select count(*) as number from public.people;
create function public.shout() returns trigger language plpgsql as 'begin new.name := upper(new.name); return new; end';
create trigger shout before insert on public.people for each row execute function public.shout();
"""


def every_procedure(
    workspaces: Callable[..., Workspace], conninfo: str, directory: Path, damage: Callable[[], None]
) -> Iterator[str]:
    """Run each of them; gives its name before it begins. damage: deletes the people up to 4, as the application would.

    Raises what a procedure raises.
    """
    yield "init"
    workspace = workspaces(conninfo)
    carried_out(workspace, plan_init(conninfo, directory))
    workspace = workspaces(conninfo, directory / "manual.md")
    manual = load(workspace.manual_path)
    yield "health"
    assert check_health(workspace, manual)["healthy"]
    yield "status"
    page = look(workspace, manual)
    assert page["database"]["reachable"]
    unknown = [one["metric"] for one in page["readings"] if one["error"]]
    assert unknown == ["Recoverable to"], page["readings"]  # there is no backup yet
    yield from _backups(workspace, directory)
    yield "drill"
    report = carried_out(workspace, plan_drill(workspace, manual))
    assert report.results["rows"]["total"] == 100
    yield from _sessions(workspace)
    yield from _restores(workspace, damage)
    yield from _clusters(workspace, directory)


def carried_out(workspace: Workspace, plan: Plan) -> Outcome:
    """Run a plan to its end."""
    outcome = run(plan, workspace, workspace.journal())
    outcome.raise_if_failed()
    return outcome


def _backups(workspace: Workspace, directory: Path) -> Iterator[str]:
    yield "backup take full"
    carried_out(workspace, plan_take_full(workspace))
    yield "backup take tables"
    carried_out(workspace, plan_take(workspace, "tables", "tests", ["people"]))
    yield "backup take full --file"
    carried_out(workspace, plan_take_file(workspace, "full", (), "custom", directory / "backup.dump"))
    yield "backup verify"
    carried_out(workspace, plan_verify(workspace, []))
    yield "backup query"
    with answered(workspace, "latest", "select count(*) from people", timeout=30, limit=10) as answer:
        assert next(iter(answer.rows))[0] in ("50", 50)


def _sessions(workspace: Workspace) -> Iterator[str]:
    yield "connections show"
    assert look_show(workspace, Show(each=True)).data["sessions"]
    yield "queries show"
    look_queries(workspace, Queries(all=True))
    yield "locks show"
    look_locks(workspace, Nothing())
    yield "connections terminate"
    with workspace.connect("victim") as victim:
        made = plan_terminate(workspace, Terminate((victim.info.backend_pid,))).plan
        assert len(carried_out(workspace, made).results["end"]["ended"]) == 1
    yield "maintenance vacuum"
    assert not carried_out(workspace, plan_vacuum(workspace, Vacuum(analyze=True)).plan).results["work"]["failed"]
    yield "maintenance indexes"
    assert not plan_indexes(workspace, Indexes(rebuild=True)).plan.steps


def _restores(workspace: Workspace, damage: Callable[[], None]) -> Iterator[str]:
    yield "restore new"
    made = carried_out(workspace, plan_restore_new(workspace))
    assert made.results["verify"]["rows"] == 100
    yield "restore diff"
    old = str(conninfo_to_dict(workspace.conninfo)["dbname"])
    asked = plan_diff(workspace, Diff(made.results["verify"]["database"], old))
    found = carried_out(workspace, asked.plan).results["diff"]
    assert (found["tables"], found["objects"], found["sequences"], found["same_rows"]) == ([], [], [], 100)
    yield "restore tables"
    carried_out(workspace, plan_restore_tables(workspace, ["people", "orders"])[0])
    yield "restore rows"
    damage()
    with compared(workspace, "people", "id < 5", with_dependents=True) as difference:
        assert difference.total("missing") == 8
        written = carried_out(workspace, plan_write_rows(workspace, difference))
    yield "restore rows --undo"
    carried_out(workspace, plan_undo_rows(workspace, written.run_id))
    yield "restore in-place"
    carried_out(workspace, plan_restore_in_place(workspace, terminate=True))
    yield "restore in-place --undo"
    carried_out(workspace, plan_undo_in_place(workspace, terminate=True))


def _clusters(workspace: Workspace, directory: Path) -> Iterator[str]:
    yield "backup take physical"
    carried_out(workspace, plan_take_physical(workspace))
    yield "wal receive"
    carried_out(workspace, plan_receive(workspace, once=True))
    yield "wal status"
    assert wal_status(workspace, slot=DEFAULT_SLOT, budget=10 << 30, behind=timedelta(days=1))["archive"]
    yield "restore to-time"
    carried_out(workspace, plan_to_time(workspace, Target("latest", ""), into=directory / "recovered"))
