"""tabsync audit export: entries of a time as a file of JSON lines, with the seals that prove them.

The first line says what it is; then comes a line for each entry, with its hash, and from the first seal on that has one
of them all seals to the newest. An entry is as it was sealed when its hash stands in a seal; the seals follow on each
other by their heads, and heads are noted in the ledger and in each backup. `audit verify --file` checks all that.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any

from psycopg import sql
from psycopg.rows import dict_row

from tabsync.audit.database.log import SEALS, log_of, seal_rows
from tabsync.audit.reading.entries import SQL, reading
from tabsync.audit.reading.moments import moment_of
from tabsync.audit.seals import chain
from tabsync.audit.seals.chain import Seal
from tabsync.audit.seals.verify_file import EXPORTED, KIND, VERSION
from tabsync.kernel.clock import iso, local, now
from tabsync.kernel.errors import BadUsage, Refused
from tabsync.kernel.page import Page
from tabsync.kernel.plan import Plan
from tabsync.kernel.procedure import Done
from tabsync.kernel.request import Argument, Option
from tabsync.kernel.step import Facts, Risk, Step, call
from tabsync.ledger.evidence import add_evidence
from tabsync.postgres.catalog import identity, prove_target
from tabsync.postgres.connect import Connection
from tabsync.postgres.settings import Limits
from tabsync.stores.manifest import subject_of

if TYPE_CHECKING:
    from tabsync.workspace import Context, Workspace

_LIMITS = Limits(lock_timeout=1_000, statement_timeout=0, idle_in_transaction_timeout=0)
_BATCH, _SEALS = 2_000, 20


@dataclass(frozen=True, slots=True)
class Export:
    """What one may ask of audit export."""

    file: Annotated[Path, Argument("The file to write; it must not exist.")]
    since: Annotated[str, Option("From this time on: '2026-11-22 14:30', '7 days ago'.", metavar="TIME")] = (
        "1 month ago"
    )
    until: Annotated[str, Option("Before this time; without it: until now.", metavar="TIME")] = ""


def plan_export(workspace: Workspace, request: Export) -> Plan:
    """Plan to write the file. Raises BadUsage when it exists, Refused where the log isn't installed."""
    since = moment_of(request.since, "--since")
    until = moment_of(request.until, "--until") if request.until else now()
    if since >= until:
        raise BadUsage("--since is not before --until", "give an earlier one")
    path = request.file.absolute()
    if path.exists():
        raise BadUsage(f"{path} exists", "name a file that does not exist")
    with reading(workspace) as log:
        target = identity(log.connection)
    step = Step(
        "export",
        f"Write the entries from {local(iso(since))} to {local(iso(until))} into {path}",
        call(export, target=target, file=str(path), since=iso(since), until=iso(until)),
        f"select from {log.relation} and tabsync_audit.seals; {path}, readable by its owner only",
        Risk.REVERSIBLE,
        f"rm {path}",
    )
    return Plan("audit export", f"Export the audit log of {target['database']}", (step,), target)


def show_export(done: Done[Workspace, Export]) -> Page:
    """What was written."""
    facts = done.results["export"]
    page = Page("audit export", facts)
    page.line((f"{facts['entries']:,} ENTRIES", "strong good"), f" in {facts['file']}, with {facts['seals']} seals")
    page.line(f"SHA-256 {facts['sha256']}", whole=True)
    if facts["unsealed"]:
        page.line((f"{facts['unsealed']:,} of them are not sealed yet: tabsync audit seal", "warning"))
    if facts["before"]:
        page.line((f"{facts['before']:,} of them are from before the install: no seal proves them", "warning"))
    page.hint(f"to check it, also years later: tabsync audit verify --file {facts['file']}")
    page.hint("it contains people's data: keep it where only those can read it who may")
    return page


def export(context: Context, *, target: Facts, file: str, since: str, until: str) -> Facts:
    """Write the file, from one snapshot. Raises Refused when it exists; a file that was not finished is deleted."""
    path = Path(file)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise Refused(f"{path} can't be written: {error.strerror}", "name another file") from None
    try:
        with os.fdopen(descriptor, "wb") as out, context.workspace.connect("audit", _LIMITS) as connection:
            prove_target(connection, target)
            connection.execute("begin isolation level repeatable read read only")
            facts = _written(
                context, connection, _Hashed(out), {"subject": subject_of(target), "since": since, "until": until}
            )
            connection.execute("rollback")
            out.flush()
            os.fsync(out.fileno())
        ledger = context.workspace.ledger()
        add_evidence(ledger, EXPORTED, subject_of(target), ok=True, facts=facts, run_id=context.run_id)
    except BaseException:
        with suppress(FileNotFoundError):
            path.unlink()
        raise
    return {"file": str(path), **facts}


class _Hashed:
    """A file of JSON lines, with its digest."""

    def __init__(self, out: IO[bytes]) -> None:
        self.out, self.digest = out, hashlib.sha256()

    def line(self, content: Facts) -> None:
        """Write a line."""
        self._write(_json(content))

    def entry(self, entry: Facts) -> None:
        """Write an entry: its values as PostgreSQL wrote them, as they were hashed; NULL is a key that is not there."""
        values = [(name, entry.pop(name)) for name in ("old", "new")]
        told = "".join(f',"{name}":{value}' for name, value in values if value is not None)
        self._write(f'{{"entry":{_json(entry)[:-1]}{told}}}}}')

    def _write(self, text: str) -> None:
        line = text.encode() + b"\n"
        self.digest.update(line)
        self.out.write(line)

    @property
    def hexdigest(self) -> str:
        """The digest of all that was written."""
        return self.digest.hexdigest()


def _json(content: Facts) -> str:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"))


def _written(context: Context, connection: Connection, out: _Hashed, what: Facts) -> Facts:
    """Write all lines. The seals come last: which of them have one of the entries is known then."""
    log = log_of(connection)
    out.line({"kind": KIND, "version": VERSION, "log": str(log), **what, "written_at": iso(now())})
    query = sql.SQL(SQL["exported"]).format(log=log.identifier(), entry=sql.SQL(SEALS["hashed"]))
    open_, before, entries = set(), 0, 0
    with connection.cursor("tabsync_export", row_factory=dict_row) as cursor:
        cursor.itersize = _BATCH
        for one in cursor.execute(query, what):
            out.entry(one)
            entries += 1
            before += one["transaction"] is None
            if one["transaction"] is not None:
                open_.add(one["id"])
            if entries % _BATCH == 0:
                context.report(entries, 0, "entries")
    seals = 0
    for seal, ids in _seals(connection):
        covers = not open_.isdisjoint(ids)
        if covers or seals:
            out.line({"seal": _plain(seal, whole=covers)})
            seals += 1
        open_.difference_update(ids)
    return {"entries": entries, "seals": seals, "unsealed": len(open_), "before": before, "sha256": out.hexdigest}


def _seals(connection: Connection) -> Iterator[tuple[Seal, set[int]]]:
    """All seals, each with the numbers of its entries."""
    after = 0
    while page := seal_rows(connection, None, "seals", after=after, most=_SEALS):
        for row in page:
            seal = Seal(**row)
            yield seal, {number for number, _ in chain.entries(seal.hashes)}
        after = page[-1]["n"]


def _plain(seal: Seal, *, whole: bool) -> Facts:
    """A seal as JSON. One that has none of the entries is only a link of the chain: a digest of its hashes will do."""
    found: dict[str, Any] = asdict(seal)
    found |= {"previous": seal.previous.hex(), "head": seal.head.hex()}
    hashes = found.pop("hashes")
    kept = {"hashes": base64.b64encode(hashes).decode()} if whole else {}
    return found | {"hashes_sha256": hashlib.sha256(hashes).hexdigest()} | kept
