"""tabsync audit install: what the log needs in the database, made step by step, each of which may run again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tabsync.audit.claims_key import read_key, write_key
from tabsync.audit.database import cast_guard, partition_log, role_install, schema, trigger_grants, triggers
from tabsync.audit.database.locks import BUILDING, LONGEST
from tabsync.audit.database.refuse import check_log, check_tables, weaker
from tabsync.audit.database.setup import DATABASE, LOOKING, Audited, Setup, rows, setup_from_json, setup_of
from tabsync.audit.database.trust import check_ours
from tabsync.kernel.errors import Refused
from tabsync.kernel.page import Page
from tabsync.kernel.plan import Plan
from tabsync.kernel.procedure import Done, Planned
from tabsync.kernel.request import Option
from tabsync.kernel.step import Facts, Risk, Step, call
from tabsync.manual.load import load
from tabsync.manual.model import Hierarchy, Manual
from tabsync.manual.wiring import Audit, UserWiring
from tabsync.postgres.catalog import check_primary, identity, prove_target, relation_named
from tabsync.postgres.connect import Connection

if TYPE_CHECKING:
    from tabsync.workspace import Context, Workspace

_UNDO = "tabsync audit remove"
_STAYS = "no undo needed: its rows stay where they are; tabsync audit remove gives it back to its owner"

PARTS: dict[str, tuple[str, Callable[[Connection, Setup], Facts], str, str]] = {
    "role": (
        "Create the role and the schema {owner}",
        schema.make_role,
        "create role {owner} nologin; create schema tabsync_audit",
        _UNDO,
    ),
    "tables": (
        "Write down what is audited, and the roles",
        schema.make_tables,
        "create table tabsync_audit.settings, tables, roles, seals, secret; create sequence gaps, last_gap",
        _UNDO,
    ),
    "columns": (
        "Add columns to {log}: who, by what, in which transaction",
        partition_log.prepare,
        "alter table {log} add column " + ", ".join(partition_log.ADDED) + "  -- nullable, no row is written anew",
        "no undo needed: they stay empty without the triggers",
    ),
    "functions": (
        "Create the functions of the triggers",
        schema.make_functions,
        "create function tabsync_audit.insert_must() and others, security definer, owned by {owner}",
        _UNDO,
    ),
    "casts": (
        "Refuse casts to JSON that would run as {owner}",
        cast_guard.install,
        "create event trigger tabsync_audit_cast on ddl_command_end when tag in ('CREATE CAST')",
        _UNDO,
    ),
    "bound": (
        "See that all entries are of a time before the end of this month, or of the next one",
        partition_log.bound,
        "alter table {log} add constraint tabsync_until check (created_at < ...) not valid; validate constraint",
        "alter table {log} drop constraint tabsync_until",
    ),
    "indexes": (
        "Build the key (id, created_at), and an index on the transaction",
        partition_log.index,
        "create unique index concurrently on {log} (id, created_at); create index concurrently on {log} (xid, id)",
        "drop these indexes",
    ),
    "partition": (
        "Partition {log} by month: its table becomes the first partition",
        partition_log.turn,
        "in one transaction: rename it, create {log} partitioned by range (created_at), attach it, "
        "3 months ahead and a default",
        _STAYS,
    ),
    "users": (
        "Guard the roles of {users}: only the functions and the table's owner change them",
        role_install.install,
        "create function tabsync_audit.change_role() and {functions} others; create trigger tabsync_guard_insert,"
        " tabsync_guard_update on {users}; revoke update ({role}) on {users} from everybody but its owner",
        _UNDO,
    ),
}
"""What is done to the log, in this order; then come the triggers of one table after another."""


@dataclass(frozen=True, slots=True)
class Install:
    """What one may ask of audit install."""

    claims_key: Annotated[
        Path | None,
        Option(
            "The key that the application signs with who acts; where the file isn't there, it is created.", of="host"
        ),
    ] = None


def plan_install(workspace: Workspace, request: Install) -> Planned[Workspace]:
    """Plan the install, or the rest of one that was interrupted.

    Raises Refused with the name of what stands against it, NotAllowed, BadUsage for a table that isn't there.
    """
    manual = load(workspace.manual_path)
    audit = audit_of(manual)
    with workspace.connect("audit", LOOKING) as connection:
        check_primary(connection)
        target = identity(connection)
        check_ours(connection)
        setup = setup_of(connection, audit, manual.users, manual.hierarchy)
        check_log(connection, setup)
        check_tables(connection, setup)
        superuser = rows(connection, "may", of=DATABASE)[0]["superuser"]
        notes = [*_cost(setup), *made_secret(audit, setup), *weaker(connection, setup, superuser=superuser)]
        notes += [*role_install.told(connection, setup), *trigger_grants.told(connection, setup)]
    left_out = {"users": not setup.users, "casts": not superuser}
    steps = [_step(name, setup, target) for name in PARTS if not left_out.get(name)]
    steps += [trigger_step(one, setup, target) for one in setup.tables]
    steps += [key_step(request.claims_key, target)] if request.claims_key else []
    title = f"Install the audit log {setup.log} for {_tables(len(setup.tables))} of {target['database']}"
    return Planned(Plan("audit install", title, tuple(steps), target), tuple(notes))


def show_install(done: Done[Workspace, Install]) -> Page:
    """What is audited from now on."""
    setup = setup_from_json(done.planned.plan.steps[0].arguments["setup"])
    page = Page("audit install", {"log": str(setup.log), "tables": [str(one.relation) for one in setup.tables]})
    page.line(("INSTALLED", "strong good"), f": changes of {_tables(len(setup.tables))} are written to {setup.log}")
    page.table(
        ("Table", "Recorded", "Key", "Secret"),
        (
            (str(one.relation), told(one), ", ".join(one.keys) or "-", ", ".join(one.secret) or "-")
            for one in setup.tables
        ),
    )
    page.hint("to see that it stays so: tabsync audit status; to seal it: tabsync audit seal")
    return page


def install(context: Context, *, target: Facts, setup: Facts, part: str) -> Facts:
    """Do one part of the install; what was done already is left as it is. Raises FailedPartway, NotAllowed."""
    what = setup_from_json(setup)
    with context.workspace.connect("audit", BUILDING) as connection:
        prove_target(connection, target)
        return PARTS[part][1](connection, what)


def install_triggers(context: Context, *, target: Facts, setup: Facts, table: str) -> Facts:
    """Give a table, and each of its partitions, its triggers. Raises FailedPartway when no lock comes."""
    what = setup_from_json(setup)
    one = next(each for each in what.tables if str(each.relation) == table)
    with context.workspace.connect("audit", BUILDING) as connection:
        prove_target(connection, target)
        return triggers.set_triggers(connection, what, one)


def key_step(path: Path, target: Facts) -> Step:
    """The step that gives the database the key of an application."""
    return Step(
        "key",
        f"Take over the key of signed claims in {path}",
        call(take_key, target=target, path=str(path.absolute())),
        f"read {path}, or create it with 64 random characters; replace the key in tabsync_audit.secret",
        Risk.REVERSIBLE,
        "run it again with the old file; claims that were signed meanwhile stay as they were recorded",
    )


def take_key(context: Context, *, target: Facts, path: str) -> Facts:
    """Give the database the key in a file of this machine. Raises Refused when it can't be read, or is too short."""
    key = read_key(Path(path))
    with context.workspace.connect("audit", LOOKING) as connection:
        prove_target(connection, target)
        write_key(connection, key)
    return {"path": path}


def install_for_tests(connection: Connection, audit: Audit, users: UserWiring | None, hierarchy: Hierarchy) -> Setup:
    """Install it all at once, by the functions that the steps of the command call.

    connection: in autocommit, as connect() gives it.
    """
    setup = setup_of(connection, audit, users, hierarchy)
    for _, work, _, _ in PARTS.values():
        work(connection, setup)  # "users" and "casts" too: where there is nothing to do, they do nothing
    for one in setup.tables:
        triggers.set_triggers(connection, setup, one)
    return setup


def audit_of(manual: Manual) -> Audit:
    """What the manual audits. Raises Refused where it says nothing of it."""
    if manual.audit is None or not manual.audit.tables:
        raise Refused(
            "the manual has no section Audit with a table of what is audited",
            "write one: Table | Recorded | Secret columns | Kept; tabsync init proposes one",
        )
    return manual.audit


def trigger_step(one: Audited, setup: Setup, target: Facts) -> Step:
    """The step that gives a table its triggers."""
    name = str(one.relation)
    return Step(
        f"triggers {name}",
        f"Record the changes of {name}, {told(one)}",
        call(install_triggers, target=target, setup=setup.to_json(), table=name),
        f"create trigger tabsync_audit_insert, _update, _delete, _truncate on {name}; enable always; revoke trigger",
        Risk.REVERSIBLE,
        _UNDO,
        repeatable=True,
        claims=(f"audit:{target['database']}",),
    )


def told(one: Audited) -> str:
    """How strictly a table is recorded, as the manual says it."""
    return "must" if one.must else "when possible"


def _step(name: str, setup: Setup, target: Facts) -> Step:
    title, _, preview, undo = PARTS[name]
    words = {"owner": setup.owner, "log": str(setup.log), **role_install.words(setup)}
    return Step(
        name,
        title.format(**words),
        call(install, target=target, setup=setup.to_json(), part=name),
        preview.format(**words),
        Risk.REVERSIBLE,
        undo.format(**words),
        repeatable=True,
        claims=(f"audit:{target['database']}",),
    )


def _cost(setup: Setup) -> list[str]:
    musts = [str(one.relation) for one in setup.tables if one.must]
    return [
        "cost: each statement that changes an audited table writes its rows to the log too: a single INSERT takes the "
        "server about twice as long, one of 50,000 rows two to three times, and twice the transaction numbers are used",
        f"locks: while we wait for one, others wait at most {LONGEST} ms behind us, then it is tried again; while we "
        "have it, some hundredths of a second. An open transaction that has written to a table keeps us waiting",
        f"a change of {', '.join(musts)} fails when it can't be recorded" if musts else "nothing fails unrecorded",
    ]


def made_secret(audit: Audit, setup: Setup) -> Iterator[str]:
    """The generated columns that are as secret as what they are made of."""
    named = {relation_named(one.name): one.secret for one in audit.tables}
    for one in setup.tables:
        if made := [name for name in one.secret if name not in named[one.relation]]:
            yield f"{', '.join(made)} of {one.relation}: made of a secret column, so secret too"


def _tables(count: int) -> str:
    return "1 table" if count == 1 else f"{count} tables"
