"""After a deployment: what the histories and the catalog say, whether the key tables answer, and the thresholds."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql

from tabsync.deployments.begin import LIMITS
from tabsync.deployments.besides import besides
from tabsync.deployments.clear import levels, worse
from tabsync.deployments.gated import EVIDENCE
from tabsync.kernel.errors import FailedPartway, TabsyncError, words_of
from tabsync.kernel.plain import in_one_line
from tabsync.kernel.step import Facts
from tabsync.ledger.evidence import add_evidence
from tabsync.migrations.changes.judging import Found
from tabsync.migrations.find import Tool, histories
from tabsync.migrations.histories.history import History, State
from tabsync.migrations.there import search_path, what_is_there
from tabsync.postgres.catalog import Relation, key_tables, prove_target, relation_named
from tabsync.postgres.queries import named
from tabsync.postgres.settings import Limits
from tabsync.stores.manifest import subject_of

if TYPE_CHECKING:
    from tabsync.postgres.connect import Connection
    from tabsync.workspace import Context, Workspace

_SQL = named(__package__, "deployments.sql")
_READ = Limits(lock_timeout=2_000, statement_timeout=5_000)
_REFUSED = "unsupported startup parameter"  # so does PgBouncer say it
_SAMPLES = 2
_BETWEEN = 0.5  # seconds between two of them
_NAMED = 3  # of the objects that changed and should not have
_TABLES = 20  # of those that the migrations name are read at most


class CommandFailed(FailedPartway):
    """The command of a deployment failed; the exit code is its own."""

    def __init__(self, fact: str, hint: str, code: int) -> None:
        super().__init__(fact, hint)
        self.exit_code = code  # type: ignore[assignment]


@dataclass(slots=True)
class Verified:
    """What was seen. applied, failed: names of migrations; left: of a failed one, how many statements are how.

    wrong: what is not as it should be, in words; unknown: what can't be said.
    """

    applied: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    pending: list[str] = field(default_factory=list)
    left: dict[str, dict[str, int]] = field(default_factory=dict)
    read: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)

    def to_json(self) -> Facts:
        """For the record."""
        return {name: getattr(self, name) for name in self.__slots__}


def verify(context: Context, *, target: Facts, folder: str | None) -> Facts:
    """Look at what a deployment did, and keep it as evidence.

    Raises CommandFailed with the command's own exit code where that isn't 0, FailedPartway where it ended with 0 and
    something is not as it should be.
    """
    ran, before = context.results["run"], context.results
    seen = Verified()
    try:
        _look(context.workspace, seen, target, folder, before)
    except (TabsyncError, psycopg.Error) as error:
        seen.unknown.append(f"what it did: {words_of(error)}")
        if ran["exit"] == 0:  # unknown is not verified
            seen.wrong.append(f"what it did could not be looked at: {words_of(error)}")
    facts = seen.to_json()
    ok = ran["exit"] == 0 and not (seen.wrong or seen.failed)
    told = {**facts, "run": ran, "gate": before.get("gate")}
    add_evidence(context.workspace.ledger(), EVIDENCE, subject_of(target), ok=ok, facts=told, run_id=context.run_id)
    hint = f"what of it is there: tabsync migration status --folder {folder or '.'}"
    if ran["exit"] != 0:
        if ran["lock_timeout"] and any(_REFUSED in line for line in ran["output"]):
            hint = "a pooler takes no options, by which lock_timeout is passed: run it again with --lock-timeout 0"
        raise CommandFailed(_failed(ran["exit"], seen), hint, ran["exit"])
    if not ok:
        wrong = seen.wrong or [f"{in_one_line(seen.failed[0])} has failed"]
        raise FailedPartway(f"the command ended with 0, and {'; '.join(wrong)}", hint)
    return facts


def _look(workspace: Workspace, seen: Verified, target: Facts, folder: str | None, before: Any) -> None:
    path = search_path(workspace)
    with workspace.connect("deployments", LIMITS) as connection:
        prove_target(connection, target)
        both, odd = histories(connection, Path(folder) if folder else None)
        seen.unknown += odd
        known = {one["table"]: set(one["applied"]) for one in before["begin"]["histories"]}
        for tool, one in both:
            _judge(connection, seen, tool, one, known.get(one.table, set()), path)
        if not both:
            seen.unknown.append("no history of migrations is in the database")
        if seen.pending and not seen.applied and before["run"]["exit"] == 0:
            seen.wrong.append(f"nothing was applied, and {in_one_line(seen.pending[0])} is still pending")
        if left := before["run"].get("goes_on"):
            seen.wrong.append(f"what it started goes on: process {', '.join(map(str, left))}")
        _look_besides(seen, both, before["run"].get("changed"))
        tables = _key_tables(connection, before["begin"]["tables"])
    _read(workspace, seen, tables)
    _measure(workspace, seen, before["clear"]["levels"])


def _judge(
    connection: Connection, seen: Verified, tool: Tool, one: History, before: set[str], path: Sequence[str]
) -> None:
    """One history: what is applied by now, what has failed, and whether the catalog says the same."""
    seen.failed += [each.name for each in one.of(State.FAILED, State.RUNNING)]
    seen.pending += [each.name for each in one.of(State.PENDING)]
    seen.applied += (new := [each.name for each in one.of(State.APPLIED) if each.name not in before])
    for name in [*seen.failed, *new]:
        text = tool.script(Path(one.folder), name) if tool.script and one.folder else None
        if text is None:
            seen.unknown.append(f"{in_one_line(name)}: what it should have changed, since its statements are not known")
            continue
        statements = what_is_there(connection, text, path)
        counts = {
            found.value: sum(each.found is found for each in statements)
            for found in Found
            if found is not Found.NOTHING
        }
        seen.left[name] = {what: count for what, count in counts.items() if count}
        lacking = [each for each in statements if each.found in (Found.ABSENT, Found.PARTLY)]
        sure = [each for each in lacking if not each.before and any(effect.there for effect in each.change.effects)]
        if name in new and lacking:
            first = f"line {(sure or lacking)[0].statement.line}"
            told = f"{in_one_line(name)} is applied, and {len(sure or lacking)} of its statements"
            if sure:
                seen.wrong.append(f"{told} are not ({first})")
            else:
                seen.unknown.append(f"{told} may have been done otherwise: something of that name is there ({first})")


def _look_besides(seen: Verified, both: Sequence[tuple[Tool, History]], changed: list[Facts] | None) -> None:
    """Whether the catalog changed only as the SQL of what was run says."""
    ran = [*seen.applied, *seen.failed]
    found = {each.name: (tool, one) for tool, one in both for each in one.migrations if each.name in ran}
    scripts = [
        tool.script(Path(one.folder), name) if tool.script and one.folder else None
        for name, (tool, one) in found.items()
    ]
    known = [one for one in scripts if one is not None]
    if changed is None or len(known) < len(scripts):
        if changed is None or changed:
            seen.unknown.append("whether the catalog changed only as the SQL says")
        return
    others, anything = besides(changed, known)
    if others:
        told = f"{', '.join(map(in_one_line, others[:_NAMED]))}{'' if len(others) <= _NAMED else ', ...'}"
        fact = f"{len(others)} objects changed that no statement names: {told}"
        (seen.unknown if anything else seen.wrong).append(fact)


def _key_tables(connection: Connection, touched: Sequence[str] | None) -> list[Relation]:
    found = [_relation(one) for one in (touched or [])[:_TABLES]]
    return list(dict.fromkeys([*found, *key_tables(connection)]))


def _relation(name: str) -> Relation:
    schema, _, table = name.partition(".")
    return Relation(schema, table) if table else relation_named(name)


def _read(workspace: Workspace, seen: Verified, tables: Sequence[Relation]) -> None:
    """Read a row of each table from a session that has seen none of it."""
    with workspace.connect("deployments", _READ) as connection:
        for one in tables:
            try:
                if _is_table(connection, one):
                    with connection.transaction():
                        connection.execute(sql.SQL(_SQL["hold"]).format(table=one.identifier()))
                        if _is_table(connection, one):
                            connection.execute(sql.SQL(_SQL["one_row"]).format(table=one.identifier()))
                            seen.read.append(str(one))
            except psycopg.errors.UndefinedTable:
                continue  # the migration has dropped it
            except psycopg.Error as error:
                seen.wrong.append(f"{one} can't be read: {words_of(error)}")


def _is_table(connection: Connection, one: Relation) -> bool:
    row = connection.execute(_SQL["kind"], {"schema": one.schema, "name": one.name}).fetchone()
    return row is not None and row[0] in ("r", "p")


def _measure(workspace: Workspace, seen: Verified, before: dict[str, str]) -> None:
    """What was within its bounds before and is beyond them in each of two samples now."""
    found: set[str] | None = None
    with workspace.connect("deployments", LIMITS) as connection:
        for number in range(_SAMPLES):
            now = set(worse(before, levels(connection, workspace)))
            found = now if found is None else found & now
            if not found:
                return
            if number + 1 < _SAMPLES:
                time.sleep(_BETWEEN)
    seen.wrong += [f"{one} is beyond its bound, and was not before" for one in sorted(found or ())]


def _failed(code: int, seen: Verified) -> str:
    return f"the command failed with exit code {code}{''.join(_parts(seen))}"


def _parts(seen: Verified) -> Iterator[str]:
    for name in seen.failed[:1]:
        yield f": {in_one_line(name)} has failed"
        if left := seen.left.get(name):
            yield f", of its statements are {', '.join(f'{count} {what}' for what, count in left.items())}"
    if not seen.failed:
        yield ", and no migration is noted as failed" if not seen.unknown else f"; unknown: {seen.unknown[0]}"
