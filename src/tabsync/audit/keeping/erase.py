"""tabsync audit erase: a person's values are masked in the log, each entry with a mark that is sealed itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from psycopg import sql
from psycopg.rows import dict_row

from tabsync.audit.database.locks import WORKING
from tabsync.audit.database.log import SEALS, log_of
from tabsync.audit.database.schema import settings_of
from tabsync.audit.database.setup import LOOKING, table_facts
from tabsync.audit.install import audit_of
from tabsync.audit.seals.outside import ERASED, digest_of
from tabsync.kernel.errors import BadUsage, Refused
from tabsync.kernel.page import Page
from tabsync.kernel.plan import Plan
from tabsync.kernel.procedure import Done, Planned
from tabsync.kernel.request import Argument, Option
from tabsync.kernel.step import Facts, Risk, Step, call
from tabsync.ledger.evidence import add_evidence
from tabsync.manual.load import load
from tabsync.manual.model import Manual
from tabsync.postgres.catalog import Relation, check_primary, identity, prove_target, relation_named
from tabsync.postgres.connect import Connection
from tabsync.postgres.queries import named
from tabsync.stores.manifest import subject_of

if TYPE_CHECKING:
    from tabsync.workspace import Context, Workspace

_SQL = named(__package__, "erase.sql")


@dataclass(frozen=True, slots=True)
class Erase:
    """What one may ask of audit erase."""

    key: Annotated[str, Argument("The key of the row whose values are masked, as the log has it.")]
    reason: Annotated[str, Option("Why, and by whose request; it is recorded.")]
    table: Annotated[str | None, Option("The table of the row; by default that of the users.")] = None
    columns: Annotated[
        str | None, Option("The columns, with commas between; by default the e-mail, the name and the password hash.")
    ] = None


def plan_erase(workspace: Workspace, request: Erase) -> Planned[Workspace]:
    """Plan to mask values. Raises BadUsage when the log has no such row, Refused under a legal hold."""
    manual = load(workspace.manual_path)
    table, columns = _what(manual, request)
    if not request.reason.strip():
        raise BadUsage("an erasure needs a reason", "tabsync audit erase --help")
    with workspace.connect("audit", LOOKING) as connection:
        check_primary(connection)
        target = identity(connection)
        log = log_of(connection)
        if hold := settings_of(connection).get("hold"):
            raise Refused(
                f"the audit log is held: {hold['reason']}", "to end the hold: tabsync audit archive --release"
            )
        entity = _entity(manual, table)
        values: Facts = {"table": str(table), "entity": entity, "key": request.key, "columns": list(columns)}
        found = _one(connection, log, "values_of", values)
        _check(connection, table, columns, found["known"])
    if not found["entries"]:
        raise BadUsage(f"the log has no entry of {table} with the key {request.key}", "tabsync audit list --help")
    told = ", ".join(columns)
    step = Step(
        "erase",
        f"Mask {told} in {found['named']} of {found['entries']} entries of {table} {request.key}",
        call(erase, target=target, reason=request.reason, **values),
        f"in {log}: their values become '(erased)'; a mark for each, with the hashes before and after"
        + "".join(f"\n-- {one}" for one in _apart(found, entity)),
        Risk.DESTRUCTIVE,
        "no undo: backups from before have the values until they expire",
        repeatable=True,
        claims=(f"audit:{target['database']}",),
    )
    note = "backups and archives from before keep the values until they expire"
    plan = Plan("audit erase", f"Mask {told} of {table} {request.key}", (step,), target, target["database"])
    return Planned(plan, (note,))


def show_erase(done: Done[Workspace, Erase]) -> Page:
    """How many entries were masked."""
    facts = done.results["erase"]
    page = Page("audit erase", facts)
    page.line((f"MASKED {facts['entries']:,} ENTRIES", "strong good"), f" of {facts['table']} {facts['key']}")
    if before := facts["before_install"]:
        page.note(f"{before:,} of them from before the install: no seal covers them, so they have no mark")
    page.hint("seal the marks: tabsync audit seal")
    return page


def erase(
    context: Context, *, target: Facts, table: str, entity: str, key: str, columns: list[str], reason: str
) -> Facts:
    """Mask, and mark, in one transaction. Raises Refused under a legal hold.

    entity: what the application calls a row of the table in entries of its own.
    """
    with context.workspace.connect("audit", WORKING) as connection:
        prove_target(connection, target)
        log = log_of(connection)
        with connection.transaction():
            if settings_of(connection).get("hold"):
                raise Refused("a legal hold has begun meanwhile", "to end it: tabsync audit archive --release")
            connection.execute(_SQL["why"], {"why": f"audit erase: {reason}"})
            values = {"table": table, "entity": entity, "key": key, "columns": columns, "reason": reason}
            found = _one(connection, log, "erase", values | {"actor": context.workspace.journal_actor()})
            # Before the commit: a mark that the ledger doesn't know proves nothing, and one too many harms nothing.
            marks = found.pop("marks")
            if marks:
                facts = {"digest": digest_of(marks), "entries": len(marks), "table": table, "reason": reason}
                ledger, subject = context.workspace.ledger(), subject_of(target)
                add_evidence(ledger, ERASED, subject, ok=True, facts=facts, run_id=context.run_id)
    return {"table": table, "key": key, "columns": columns, "marks": len(marks)} | found


def _what(manual: Manual, request: Erase) -> tuple[Relation, tuple[str, ...]]:
    users = manual.users
    if request.table is None and users is None:
        raise BadUsage("the manual has no section Users: name the table with --table", "tabsync audit erase --help")
    table = relation_named(request.table or (users.table if users else ""))
    audit_of(manual)
    if request.columns is not None:
        columns = tuple(one.strip() for one in request.columns.split(",") if one.strip())
    elif users is not None and relation_named(users.table) == table:
        columns = tuple(one for one in (users.email, users.name, users.password_hash) if one)
    else:
        columns = ()
    if not columns:
        raise BadUsage(f"which columns of {table} are to be masked?", "name them: --columns a,b")
    return table, columns


def _check(connection: Connection, table: Relation, columns: Sequence[str], known: Sequence[str]) -> None:
    facts = table_facts(connection, table)
    if facts and (lacking := [one for one in columns if one not in (*facts["columns"], *known)]):
        raise BadUsage(
            f"{table} has no column {lacking[0]}, and its entries neither",
            "its columns: " + ", ".join(facts["columns"]),
        )
    if facts and (keys := [one for one in columns if one in facts["keys"]]):
        raise Refused(f"{keys[0]} is the key of {table}: the log names the row by it", "leave it out")


def _entity(manual: Manual, table: Relation) -> str:
    """What the manual calls a row of a table in the log; the table's name where it doesn't."""
    named_so = (one.entity for one in audit_of(manual).tables if one.entity and relation_named(one.name) == table)
    return next(named_so, table.name)


def _apart(found: Facts, entity: str) -> Iterator[str]:
    """Of the entries to be masked, those that no trigger wrote."""
    if number := found["by_application"]:
        yield f"{number} of them the application wrote itself, as {entity}: masked by the same names of columns"
    if number := found["before_install"]:
        yield f"{number} of them are from before the install: no seal covers them, so they get no mark"


def _one(connection: Connection, log: Relation, statement: str, values: Facts) -> Facts:
    parts = {"log": log.identifier(), "entry": sql.SQL(SEALS["hashed"]), "of_row": sql.SQL(_SQL["of_row"])}
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(sql.SQL(_SQL[statement]).format(**parts), values).fetchone() or {}
