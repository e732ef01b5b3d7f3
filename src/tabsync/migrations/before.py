"""What of a migration was there before a deployment under guard ran it: so nobody has to tell it by its age."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from tabsync.kernel.step import Facts
from tabsync.ledger.evidence import add_evidence, evidence_since
from tabsync.ledger.open import Ledger
from tabsync.migrations.changes.change import ABOUT, Thing
from tabsync.migrations.find import Tool
from tabsync.migrations.histories.history import History, State
from tabsync.migrations.histories.script import statements
from tabsync.migrations.there import changes_of, looked_up
from tabsync.postgres.connect import Connection
from tabsync.stores.manifest import subject_of

_KIND = "before migrations"
_MOST = 5_000  # things of one deployment; of what comes behind them nothing is noted
_DEPLOYMENTS = 20  # the newest are looked through


def note_before(
    connection: Connection,
    ledger: Ledger,
    target: Facts,
    both: Sequence[tuple[Tool, History]],
    path: Sequence[str],
    run_id: str | None,
) -> None:
    """Note which things of the pending migrations are there now. path: the schemas of names without one."""
    found: list[Facts] = []
    count = 0
    for tool, history in both:
        for one in history.of(State.PENDING, State.ROLLED_BACK):
            script = tool.script(Path(history.folder), one.name) if tool.script and history.folder else None
            if script is None:
                continue
            things = _things(connection, script, path)
            count += len(things)
            if count > _MOST:
                break
            noted = [[each.kind, each.schema, each.name, each.part, there] for each, there in things.items()]
            found.append({"table": history.table, "migration": one.name, "digest": _digest(script), "things": noted})
    if found:
        add_evidence(ledger, _KIND, subject_of(target), ok=True, facts={"migrations": found}, run_id=run_id)


def known_before(ledger: Ledger, target: Facts, table: str, name: str, script: str) -> Mapping[Thing, bool]:
    """Whether things of a migration were there before its newest deployment under guard; {} where none noted it.

    table: of its history; script: its statements as they are now, which have to be those that were deployed.
    """
    for one in evidence_since(ledger, _KIND, subject_of(target), limit=_DEPLOYMENTS):
        for each in one["facts"]["migrations"]:
            if (each["table"], each["migration"], each["digest"]) == (table, name, _digest(script)):
                return {Thing(*words): there for *words, there in each["things"]}
    return {}


def _things(connection: Connection, script: str, path: Sequence[str]) -> dict[Thing, bool]:
    changes = changes_of(connection, statements(script), path)
    things = {effect.thing for one in changes for effect in one.effects if effect.thing.kind != ABOUT}
    return {thing: bool(look.there) for thing, look in looked_up(connection, sorted(things, key=str)).items()}


def _digest(script: str) -> str:
    return hashlib.sha256(script.encode(errors="surrogateescape")).hexdigest()
