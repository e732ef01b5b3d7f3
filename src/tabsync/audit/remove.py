"""tabsync audit remove: the triggers, the functions, the schema and the role go; the log stays, its owner's again."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql

from tabsync.audit.database import cast_guard, role_grants, trigger_grants
from tabsync.audit.database.locks import BUILDING, patiently
from tabsync.audit.database.partitions import covered
from tabsync.audit.database.privileges import close, role_named
from tabsync.audit.database.schema import is_installed, settings_of
from tabsync.audit.database.setup import DATABASE, LOOKING, Setup, parts_of, rows, run, table_facts
from tabsync.audit.seals.outside import note_removed
from tabsync.kernel.clock import now
from tabsync.kernel.errors import FailedPartway, Refused, words_of
from tabsync.kernel.page import Page
from tabsync.kernel.plan import Plan
from tabsync.kernel.procedure import Done, Planned
from tabsync.kernel.request import Nothing
from tabsync.kernel.step import Facts, Risk, Step, call
from tabsync.postgres.catalog import Relation, check_primary, identity, prove_target, relation_named
from tabsync.postgres.connect import Connection
from tabsync.postgres.queries import named
from tabsync.stores.manifest import subject_of

if TYPE_CHECKING:
    from tabsync.workspace import Context, Workspace

_SQL = named(__package__, "remove.sql")
_AGAIN = "tabsync audit install"


def plan_remove(workspace: Workspace, _request: Nothing) -> Planned[Workspace]:
    """Plan the removal, or the rest of one that was interrupted. Raises Refused when there is nothing to remove."""
    with workspace.connect("audit", LOOKING) as connection:
        check_primary(connection)
        target = identity(connection)
        if not _anything(connection):
            raise Refused("the audit log is not installed in this database", _AGAIN)
        tables = sorted({(one["schema"], one["table"]) for one in rows(connection, "triggers", of=_SQL)})
        log = _log(connection)
        kept = _settings(connection)
    names = [str(Relation(*one)) for one in tables]
    step: dict[str, Any] = {"repeatable": True, "claims": (f"audit:{target['database']}",)}
    steps = [
        Step(
            "triggers",
            f"Drop the triggers on {len(names)} tables",
            call(drop_triggers, target=target),
            "\n".join(f"drop trigger tabsync_audit_... on {name}" for name in names) or "nothing to drop",
            Risk.REVERSIBLE,
            _AGAIN,
            **step,
        ),
        Step(
            "users",
            "Give back UPDATE on the role of users, and TRIGGER on the tables, to those who had it",
            call(give_roles_back, target=target),
            "grant update on ..., grant trigger on ... to those who had it before",
            Risk.REVERSIBLE,
            _AGAIN,
            **step,
        ),
        Step(
            "log",
            f"Give {log or 'the log'} back to {kept.get('log_owner', 'its owner')}",
            call(give_back, target=target),
            f"alter table {log} owner to {kept.get('log_owner')}; grant what was granted before" if log else "nothing",
            Risk.REVERSIBLE,
            _AGAIN,
            **step,
        ),
        Step(
            "schema",
            "Drop the schema tabsync_audit, with the seals",
            call(drop_schema, target=target),
            "drop schema tabsync_audit",
            Risk.DESTRUCTIVE,
            f"no undo: the seals are gone, and what they proved; {_AGAIN} begins a new chain",
            **step,
        ),
        Step(
            "role",
            "Drop the role tabsync_audit",
            call(drop_role, target=target),
            "drop owned by tabsync_audit; drop role tabsync_audit",
            Risk.REVERSIBLE,
            _AGAIN,
            **step,
        ),
    ]
    title = f"Remove the audit log's triggers from {target['database']}; the log stays"
    return Planned(Plan("audit remove", title, tuple(steps), target, target["database"]))


def show_remove(done: Done[Workspace, Nothing]) -> Page:
    """What is left."""
    role = done.results["role"]
    page = Page("audit remove", {"log": done.results["log"]["log"], "role": role})
    page.line(
        ("REMOVED", "strong good"), f": {done.results['log']['log'] or 'the log'} stays, and records nothing more"
    )
    if role.get("of_others"):
        page.note("the role tabsync_audit stays: it is not this role's to drop")
    if role["used_by"]:
        page.note(f"the role tabsync_audit stays: it owns things in {', '.join(role['used_by'])}")
    return page


def drop_triggers(context: Context, *, target: Facts) -> Facts:
    """Drop every trigger of ours, in a short transaction for each table. Raises FailedPartway when no lock comes."""
    with context.workspace.connect("audit", BUILDING) as connection:
        prove_target(connection, target)
        found: dict[Relation, list[str]] = {}
        for one in rows(connection, "triggers", of=_SQL):
            found.setdefault(Relation(one["schema"], one["table"]), []).append(one["trigger"])
        for table, names in found.items():
            patiently(connection, f"drop triggers on {table}", lambda t=table, n=names: _drop(connection, t, n))  # type: ignore[misc]
    return {"tables": [str(one) for one in found]}


def give_roles_back(context: Context, *, target: Facts) -> Facts:
    """Who could update the role of a user may do it again. Raises FailedPartway when no lock comes."""
    with context.workspace.connect("audit", BUILDING) as connection:
        prove_target(connection, target)
        if not is_installed(connection):
            return {}
        return role_grants.give_back(connection) | {"triggers": trigger_grants.give_back(connection)}


def give_back(context: Context, *, target: Facts) -> Facts:
    """The log has its owner and its privileges again. Raises FailedPartway when no lock comes, or the owner is gone."""
    with context.workspace.connect("audit", BUILDING) as connection:
        prove_target(connection, target)
        name, kept = _log(connection), _settings(connection)
        if not name or "log_owner" not in kept:
            return {"log": name}
        log = relation_named(name)
        if table_facts(connection, log) is None:
            return {"log": ""}
        patiently(connection, f"give {log} back", lambda: _give_back(connection, log, kept))
    return {"log": name}


def drop_schema(context: Context, *, target: Facts) -> Facts:
    """Drop what is ours, without CASCADE. Raises FailedPartway, naming what somebody else has built on it."""
    with context.workspace.connect("audit", BUILDING) as connection:
        prove_target(connection, target)
        try:
            with connection.transaction():
                cast_guard.remove(connection)
                for one in rows(connection, "ours", of=_SQL):
                    names = {"kind": sql.SQL(one["kind"]), "name": sql.Identifier(one["name"])}
                    if one["kind"] in ("function", "procedure"):
                        run(connection, "drop_function", of=_SQL, arguments=sql.SQL(one["arguments"]), **names)
                    else:
                        run(connection, "drop", of=_SQL, **names)
                run(connection, "drop_schema", of=_SQL)
                at = now().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
                note_removed(context.workspace.ledger(), subject_of(target), at, context.run_id)
        except psycopg.errors.DependentObjectsStillExist as error:
            raise FailedPartway(
                f"something depends on the schema tabsync_audit: {words_of(error)}",
                "drop it, then run tabsync audit remove again: it continues",
            ) from None
    return {}


def drop_role(context: Context, *, target: Facts) -> Facts:
    """Drop the role, unless it owns something yet. Gives where."""
    with context.workspace.connect("audit", BUILDING) as connection:
        prove_target(connection, target)
        may = rows(connection, "may", of=DATABASE)[0]
        if not may["there"] or not may["may_own"]:
            return {"used_by": [], "of_others": may["there"]}
        owns = rows(connection, "owns", of=_SQL)
        here = [one["name"] for one in owns if one["here"] and one["owned"]]
        elsewhere = sorted({one["name"] for one in owns if not one["here"]})
        with connection.transaction():
            if not here:
                run(connection, "drop_privileges", of=_SQL)
            if not here and not elsewhere:
                run(connection, "drop_role", of=_SQL)
    return {"used_by": [*here, *elsewhere]}


def _give_back(connection: Connection, log: Relation, kept: Facts) -> None:
    owner = kept["log_owner"]
    for table in (log, *covered(connection, log)):
        facts = table_facts(connection, table) or {}
        run(connection, "own_table", of=_SQL, table=table.identifier(), owner=sql.Identifier(owner))
        close(connection, [facts["oid"]])
    for one in kept["log_privileges"]:
        if one["role"] == owner:
            continue
        names: dict[str, sql.Composable] = {
            "privilege": sql.SQL(one["privilege"]),
            "table": log.identifier(),
            "role": role_named(one["role"]),
            "option": sql.SQL("with grant option" if one["grantable"] and one["role"] else ""),
        }
        if one["column"]:
            run(connection, "grant_columns", of=_SQL, column=sql.Identifier(one["column"]), **names)
        else:
            run(connection, "grant_table", of=_SQL, **names)


def _drop(connection: Connection, table: Relation, names: list[str]) -> None:
    for name in names:
        run(connection, "drop_trigger", of=_SQL, trigger=sql.Identifier(name), table=table.identifier())


def drop_unaudited(connection: Connection, setup: Setup) -> list[str]:
    """Drop the triggers on tables that the manual audits no more. Raises FailedPartway when no lock comes."""
    kept = {part for one in setup.tables for part in parts_of(connection, one.relation)}
    kept |= {setup.log, *covered(connection, setup.log)}
    found: dict[Relation, list[str]] = {}
    for one in rows(connection, "triggers", of=_SQL):
        table = Relation(one["schema"], one["table"])
        if table not in kept and one["trigger"].startswith("tabsync_audit"):
            found.setdefault(table, []).append(one["trigger"])
    for table, names in found.items():
        patiently(connection, f"drop triggers on {table}", lambda t=table, n=names: _drop(connection, t, n))  # type: ignore[misc]
    return [str(one) for one in found]


def _anything(connection: Connection) -> bool:
    """Whether anything of ours is there, also what an interrupted removal has left."""
    return is_installed(connection) or bool(
        rows(connection, "triggers", of=_SQL)
        or rows(connection, "ours", of=_SQL)
        or [one for one in rows(connection, "owns", of=_SQL) if one["here"]]
    )


def _settings(connection: Connection) -> Facts:
    return settings_of(connection) if is_installed(connection) else {}


def _log(connection: Connection) -> str:
    return str(_settings(connection).get("log", ""))
